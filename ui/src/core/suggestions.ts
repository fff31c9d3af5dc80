/** What a half-typed filter may become. */
import { type Filter, escaped, filterWords, formatFilter } from "./filters";
import type { Row } from "./api";

export interface Suggestion {
  /** What the field would hold. */
  readonly text: string;
  /** Null where a value is still to be typed. */
  readonly filter: Filter | null;
  /** How often the value was there; null where that isn't known. */
  readonly count: number | null;
}

/** The part of a filter that is being typed. */
export interface Typing {
  readonly dimension: string;
  readonly excluded: boolean;
  /** Alternatives before the one that is being typed, each with its bar. */
  readonly before: string;
  readonly part: string;
}

const SUGGESTIONS_MAX = 8;

/** Null while it is still the dimension. */
export function typingOf(typed: string, dimensions: readonly string[]): Typing | null {
  const colon = typed.indexOf(":");
  const excluded = typed[colon - 1] === "!";
  const name = typed.slice(0, excluded ? colon - 1 : Math.max(0, colon)).trim().toLowerCase();
  const dimension = dimensions.find((each) => each.toLowerCase() === name);
  if (colon < 1 || dimension === undefined) return null;
  const value = typed.slice(colon + 1).trimStart();
  const before = value.slice(0, value.lastIndexOf("|") + 1);
  return { dimension, excluded, before, part: value.slice(before.length) };
}

/** `asked`: what the server says of values that begin with the typed part; `known`: values that the page has shown. */
export function suggestFilters(typed: string, dimensions: readonly string[], known: readonly Filter[], asked: readonly Row[] = []): readonly Suggestion[] {
  const typing = typingOf(typed, dimensions);
  if (typing) return valuesOf(typing, known, asked);
  const text = typed.trim().toLowerCase();
  const names = dimensions.filter((name) => name.toLowerCase().startsWith(text)).map((name) => ({ text: `${name}:`, filter: null, count: null }));
  const values = text === "" ? [] : known.filter((filter) => filter.value.toLowerCase().includes(text));
  const begins = (filter: Filter): number => (filter.value.toLowerCase().startsWith(text) ? 0 : 1);
  const found = values.toSorted((one, other) => begins(one) - begins(other));
  return [...names, ...found.map((filter) => ({ text: formatFilter(filter), filter, count: null }))].slice(0, SUGGESTIONS_MAX);
}

/** What begins with the typed text comes first, by its number; then what has it somewhere. */
function valuesOf({ dimension, excluded, before, part }: Typing, known: readonly Filter[], asked: readonly Row[]): readonly Suggestion[] {
  const wanted = part.toLowerCase();
  const names = new Map<string, number | null>();
  for (const row of asked) if (row.name.toLowerCase().startsWith(wanted)) names.set(escaped(row.name), row.value);
  const shown = known.filter((filter) => filter.dimension === dimension && filter.value.toLowerCase().includes(wanted)).map(({ value }) => value);
  const begins = (value: string): number => (value.toLowerCase().startsWith(wanted) ? 0 : 1);
  for (const value of shown.toSorted((one, other) => begins(one) - begins(other))) if (!names.has(value)) names.set(value, null);
  return [...names].slice(0, SUGGESTIONS_MAX).map(([name, count]) => {
    const filter: Filter = { dimension, value: before + name, ...(excluded ? { excluded } : {}) };
    return { text: formatFilter(filter), filter, count };
  });
}

export function suggestionWords({ filter, text }: Suggestion): string {
  return filter ? filterWords(filter) : text.slice(0, -1);
}
