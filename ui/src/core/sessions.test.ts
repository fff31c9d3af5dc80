import { expect, test } from "vitest";
import type { Series } from "./api";
import { MINUTE_MS } from "./ranges";
import { isSessionMetric, ratioOf, ratioSeries } from "./sessions";

function seriesFrom(firstMinute: number, ...values: (number | null)[]): Series {
  const points = values.map((value, index) => ({ timestampMs: (firstMinute + index) * MINUTE_MS, value }));
  return { metric: "m", points, stepMs: MINUTE_MS, fromMs: 0, toMs: values.length * MINUTE_MS, completeUpToMs: 0, lagMs: 0, ageMs: null };
}

test("a ratio of a range is that of the sums, not the mean of the ratios", () => {
  expect(ratioOf(seriesFrom(0, 60, 300).points, seriesFrom(0, 1, 9).points)).toBe(36);
});

test("without a whole there is no ratio, which is not zero", () => {
  expect(ratioOf(seriesFrom(0, 0, 0).points, seriesFrom(0, 0, null).points)).toBeNull();
  expect(ratioOf([], [])).toBeNull();
  expect(ratioOf(seriesFrom(0, 0, null).points, seriesFrom(0, 2, 2).points)).toBe(0);
});

test("answers from either side of a minute are compared where both have steps", () => {
  const [bounces, sessions] = [seriesFrom(1, 1, 1, 9), seriesFrom(0, 50, 2, 2)];
  expect(ratioOf(bounces.points, sessions.points)).toBe(0.5);
  expect(ratioSeries(bounces, sessions).points.map(({ value }) => value)).toEqual([0.5, 0.5]);
});

test("a step without sessions is a gap", () => {
  expect(ratioSeries(seriesFrom(0, 1, 0), seriesFrom(0, 4, 0)).points.map(({ value }) => value)).toEqual([0.25, null]);
});

test("session metrics are told apart", () => {
  expect(["sessions", "session_seconds", "bounces", "page_views"].map(isSessionMetric)).toEqual([true, true, true, false]);
});
