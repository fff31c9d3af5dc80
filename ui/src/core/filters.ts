/**
 * A filter keeps what has `value` in `dimension`, or all else where it is `excluded`; all filters of a page must hold.
 * `value` is as the server reads it: several values between bars, a star at the end of a prefix, and a backslash before
 * a bar, a star or a backslash that is of the value itself.
 */
export interface Filter {
  readonly dimension: string;
  readonly value: string;
  readonly excluded?: true;
}

/** The values of a dimension that stand for no name: beyond a limit, and absent. */
export const OTHER = "(other)";
export const UNKNOWN = "(unknown)";

/** The filter of one value, whatever characters it has. */
export function filterOf(dimension: string, name: string): Filter {
  return { dimension, value: escaped(name) };
}

export function escaped(name: string): string {
  return name.replaceAll(/[\\|*]/g, "\\$&");
}

/** Reads `dimension:value` or `dimension!:value`; the value may hold colons itself. Null where it is no filter. */
export function parseFilter(text: string): Filter | null {
  const colon = text.indexOf(":");
  if (colon < 1) return null;
  const excluded = text[colon - 1] === "!";
  const dimension = text.slice(0, excluded ? colon - 1 : colon).trim();
  const value = text.slice(colon + 1).trim();
  if (!dimension || !value) return null;
  return excluded ? { dimension, value, excluded } : { dimension, value };
}

/** As the address and a question have it. */
export function formatFilter(filter: Filter): string {
  return `${filter.dimension}${filter.excluded ? "!" : ""}:${filter.value}`;
}

interface Alternative {
  readonly text: string;
  readonly isPrefix: boolean;
}

function alternativesOf(value: string): readonly Alternative[] {
  const pieces = value.match(/(?:[^\\|]|\\.|\\$)+/gs) ?? [];
  return pieces.map((piece) => {
    const isPrefix = /(?<!\\)(?:\\\\)*\*$/.test(piece);
    return { text: (isPrefix ? piece.slice(0, -1) : piece).replaceAll(/\\(.)/gs, "$1"), isPrefix };
  });
}

/** The one value that a filter keeps; null where it is about more, or excludes. */
export function onlyName(filter: Filter): string | null {
  const [first, second] = alternativesOf(filter.value);
  return filter.excluded || !first || second || first.isPrefix ? null : first.text;
}

/** `not US or DE`, `/shop/…`: for people. */
export function filterWords(filter: Filter): string {
  const names = alternativesOf(filter.value).map(({ text, isPrefix }) => (isPrefix ? `${text}…` : text));
  return `${filter.excluded ? "not " : ""}${names.join(" or ")}`;
}

export function sameFilter(one: Filter, other: Filter): boolean {
  return formatFilter(one) === formatFilter(other);
}

/** A second filter of one dimension takes the place of the first. */
export function withFilter(filters: readonly Filter[], added: Filter): readonly Filter[] {
  const at = filters.findIndex((filter) => filter.dimension === added.dimension);
  return at < 0 ? [...filters, added] : filters.map((filter, index) => (index === at ? added : filter));
}

export function withoutFilter(filters: readonly Filter[], removed: Filter): readonly Filter[] {
  return filters.filter((filter) => !sameFilter(filter, removed));
}

export interface LiveEvent {
  readonly event: string;
  readonly timestampMs: number;
  readonly userId: string | null;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What an event has in a dimension, in the words of the server's breakdowns. */
export function dimensionOf(event: LiveEvent, dimension: string): string {
  if (dimension === "event") return event.event;
  const value = event.properties[dimension];
  if (value === undefined || value === null || value === "") return UNKNOWN;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function matchesFilters(event: LiveEvent, filters: readonly Filter[]): boolean {
  return filters.every((filter) => {
    const name = dimensionOf(event, filter.dimension);
    const kept = alternativesOf(filter.value).some(({ text, isPrefix }) => (isPrefix ? name.startsWith(text) : name === text));
    return kept !== (filter.excluded ?? false);
  });
}
