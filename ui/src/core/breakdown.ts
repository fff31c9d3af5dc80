/** What can be said about a breakdown. */
import type { Breakdown, Metric, Row } from "./api";
import { OTHER, UNKNOWN } from "./filters";

/** At most seven series are told apart by eye; the rest is one. */
export const SERIES_MAX = 7;

export interface Slice {
  readonly name: string;
  readonly value: number;
  /** Of the whole breakdown, 0 to 1. */
  readonly share: number;
  /** How many names are in it: more than one where names were folded into "(other)". Null: the server did not say. */
  readonly names: number | null;
  /** Whether the page can be filtered by it. */
  readonly selectable: boolean;
}

export function sumOf(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => sum + (row.value ?? 0), 0);
}

/** At most seven slices, largest first; `(other)` and `(unknown)` always keep their place and come last. */
export function foldSlices(rows: readonly Row[]): readonly Slice[] {
  const whole = sumOf(rows);
  const named = rows.filter((row) => row.name !== OTHER && row.name !== UNKNOWN);
  const unknown = rows.find((row) => row.name === UNKNOWN);
  const other = rows.find((row) => row.name === OTHER);
  const room = SERIES_MAX - (unknown ? 1 : 0) - (other ? 1 : 0);
  const shown = named.slice(0, named.length > room && !other ? room - 1 : room);
  const folded = named.slice(shown.length);
  const slice = (name: string, value: number, names: number | null): Slice => ({
    name,
    value,
    share: whole > 0 ? value / whole : 0,
    names,
    selectable: name !== OTHER,
  });
  const slices = shown.map((row) => slice(row.name, row.value ?? 0, 1));
  if (other || folded.length > 0) slices.push(slice(OTHER, (other?.value ?? 0) + sumOf(folded), other ? null : folded.length));
  if (unknown) slices.push(slice(UNKNOWN, unknown.value ?? 0, null));
  return slices;
}

export interface Bar {
  readonly name: string;
  readonly value: number | null;
  readonly share: number | null;
  /** Of the longest bar, 0 to 1. */
  readonly length: number;
  readonly selectable: boolean;
}

/** The first `count` rows as bars from zero, and always `(other)` and `(unknown)`. Shares only where values add up. */
export function barsOf(breakdown: Breakdown, count: number, additive: boolean): readonly Bar[] {
  const whole = sumOf(breakdown.rows);
  const longest = Math.max(0, ...breakdown.rows.map((row) => row.value ?? 0));
  return breakdown.rows
    .filter((row, index) => index < count || row.name === OTHER || row.name === UNKNOWN)
    .map((row) => ({
      name: row.name,
      value: row.value,
      share: additive && whole > 0 && row.value !== null ? row.value / whole : null,
      length: longest > 0 ? Math.max(0, row.value ?? 0) / longest : 0,
      selectable: row.name !== OTHER,
    }));
}

export interface DimensionPlan {
  readonly donut: string | null;
  readonly table: string | null;
  readonly bars: readonly string[];
}

const DONUT_FIRST = ["country", "status", "device", "event", "method", "platform", "browser", "os", "plan"];
const TABLE_FIRST = ["page", "path", "url", "route"];

/** Which dimension is shown how. Each is shown once; the donut goes to one with few values, the table to the pages. */
export function planDimensions(metric: Metric): DimensionPlan {
  const { dimensions } = metric;
  const prefer = (order: readonly string[]): string | null => order.find((name) => dimensions.includes(name)) ?? null;
  const page = prefer(TABLE_FIRST);
  const donut = prefer(DONUT_FIRST) ?? dimensions.find((name) => name !== page) ?? dimensions[0] ?? null;
  const rest = dimensions.filter((name) => name !== donut);
  const table = page !== null && page !== donut ? page : (rest.at(-1) ?? null);
  return { donut, table, bars: rest.filter((name) => name !== table) };
}
