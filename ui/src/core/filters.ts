/** A filter keeps what has `value` in `dimension`; all filters of a page must hold. */
export interface Filter {
  readonly dimension: string;
  readonly value: string;
}

/** The values of a dimension that stand for no name: beyond a limit, and absent. */
export const OTHER = "(other)";
export const UNKNOWN = "(unknown)";

/** Reads `dimension:value`; the value may hold colons itself. Null where it is no filter. */
export function parseFilter(text: string): Filter | null {
  const colon = text.indexOf(":");
  if (colon < 1) return null;
  const dimension = text.slice(0, colon).trim();
  const value = text.slice(colon + 1).trim();
  return dimension && value ? { dimension, value } : null;
}

export function formatFilter(filter: Filter): string {
  return `${filter.dimension}:${filter.value}`;
}

export function sameFilter(one: Filter, other: Filter): boolean {
  return one.dimension === other.dimension && one.value === other.value;
}

/** A second value of one dimension would leave nothing, so it takes the place of the first. */
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
  return filters.every((filter) => dimensionOf(event, filter.dimension) === filter.value);
}
