import { expect, test } from "vitest";
import type { Breakdown, Metric } from "./api";
import { SERIES_MAX, barsOf, foldSlices, planDimensions } from "./breakdown";

const rows = (...values: [string, number][]) => values.map(([name, value]) => ({ name, value }));
const letters = (count: number) => rows(...Array.from({ length: count }, (_, index): [string, number] => [String.fromCharCode(97 + index), 100 - index]));

function breakdownOf(given: Breakdown["rows"]): Breakdown {
  return { metric: "m", dimension: "d", rows: given, limited: false, fromMs: 0, toMs: 1, completeUpToMs: null, lagMs: 0, ageMs: null };
}

function metricWith(...dimensions: string[]): Metric {
  return { name: "m", event: null, measure: { kind: "count", field: null }, dimensions, windowMs: 60_000, lastSeenMs: null };
}

test("seven names are seven slices", () => {
  expect(foldSlices(letters(7)).map(({ name }) => name)).toEqual(["a", "b", "c", "d", "e", "f", "g"]);
});

test("more than seven are six and the others, which say how many they are", () => {
  const slices = foldSlices(letters(10));
  expect(slices).toHaveLength(SERIES_MAX);
  expect(slices.at(-1)).toMatchObject({ name: "(other)", names: 4, selectable: false });
});

test("folding loses nothing", () => {
  for (const count of [1, 5, 7, 8, 30]) {
    const given = [...letters(count), ...rows(["(other)", 11], ["(unknown)", 7])];
    const slices = foldSlices(given);
    expect(slices.length).toBeLessThanOrEqual(SERIES_MAX);
    expect(slices.reduce((sum, { value }) => sum + value, 0)).toBe(given.reduce((sum, { value }) => sum + value, 0));
  }
});

test("(other) and (unknown) are always shown, also when they are small", () => {
  const slices = foldSlices([...letters(12), ...rows(["(other)", 1], ["(unknown)", 1])]);
  expect(slices.map(({ name }) => name).slice(-2)).toEqual(["(other)", "(unknown)"]);
  const bars = barsOf(breakdownOf([...letters(12), ...rows(["(other)", 1], ["(unknown)", 1])]), 3, true);
  expect(bars.map(({ name }) => name)).toEqual(["a", "b", "c", "(other)", "(unknown)"]);
});

test("the server's own (other) and the folded names are one slice", () => {
  const slices = foldSlices([...letters(9), ...rows(["(other)", 50])]);
  expect(slices.filter(({ name }) => name === "(other)")).toHaveLength(1);
});

test("one can't filter by (other), but by (unknown)", () => {
  const slices = foldSlices(rows(["a", 1], ["(other)", 1], ["(unknown)", 1]));
  expect(slices.map(({ selectable }) => selectable)).toEqual([true, false, true]);
});

test("bars start at zero and the longest is whole", () => {
  expect(barsOf(breakdownOf(rows(["a", 40], ["b", 10])), 9, true).map(({ length, share }) => [length, share])).toEqual([[1, 0.8], [0.25, 0.2]]);
});

test("extremes have no shares", () => {
  expect(barsOf(breakdownOf(rows(["a", 40])), 9, false)[0]?.share).toBeNull();
});

test.each([
  [["country", "device", "page"], { donut: "country", table: "page", bars: ["device"] }],
  [["event", "country", "device"], { donut: "country", table: "device", bars: ["event"] }],
  [["page", "status", "method", "device"], { donut: "status", table: "page", bars: ["method", "device"] }],
  [["tenant"], { donut: "tenant", table: null, bars: [] }],
  [["page"], { donut: "page", table: null, bars: [] }],
  [[], { donut: null, table: null, bars: [] }],
])("the dimensions %j are each shown once", (dimensions, plan) => {
  expect(planDimensions(metricWith(...dimensions))).toEqual(plan);
});
