/** What a half-typed filter may become. */
import { type Filter, formatFilter } from "./filters";

export interface Suggestion {
  /** What the field would hold. */
  readonly text: string;
  /** Null where a value is still to be typed. */
  readonly filter: Filter | null;
}

const SUGGESTIONS_MAX = 8;

export function suggestFilters(typed: string, dimensions: readonly string[], known: readonly Filter[]): readonly Suggestion[] {
  const text = typed.trimStart().toLowerCase();
  const colon = text.indexOf(":");
  const dimension = colon > 0 ? dimensions.find((name) => name.toLowerCase() === text.slice(0, colon).trim()) : undefined;
  if (dimension !== undefined) {
    const part = text.slice(colon + 1).trim();
    const values = known.filter((filter) => filter.dimension === dimension && filter.value.toLowerCase().includes(part));
    return inOrder(values, part).slice(0, SUGGESTIONS_MAX).map(whole);
  }
  const names = dimensions
    .filter((name) => name.toLowerCase().startsWith(text))
    .map((name) => ({ text: `${name}:`, filter: null }));
  const values = text === "" ? [] : known.filter((filter) => filter.value.toLowerCase().includes(text));
  return [...names, ...inOrder(values, text).map(whole)].slice(0, SUGGESTIONS_MAX);
}

/** What begins with the typed text comes first; otherwise the order stays, which is by size. */
function inOrder(filters: readonly Filter[], part: string): readonly Filter[] {
  const begins = (filter: Filter): number => (filter.value.toLowerCase().startsWith(part) ? 0 : 1);
  return filters.toSorted((one, other) => begins(one) - begins(other));
}

function whole(filter: Filter): Suggestion {
  return { text: formatFilter(filter), filter };
}
