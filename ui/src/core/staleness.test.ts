import { expect, test } from "vitest";
import { HOUR_MS } from "./ranges";
import { EVERYTHING, TIME_WENT_ON, isStale, storeAskedMs } from "./staleness";

const NOW = 100 * HOUR_MS;
const lastHour = { metric: "page_views", range: { kind: "last", last: "1h" } } as const;
const longAgo = { metric: "page_views", range: { kind: "between", fromMs: 0, toMs: HOUR_MS } } as const;
const justNow = { metrics: new Set(["page_views"]), span: { fromMs: NOW - 60_000, toMs: NOW }, slides: false };

test("a change of a metric makes its present old", () => {
  expect(isStale(lastHour, justNow, NOW)).toBe(true);
});

test("the store was asked for a cached answer before all that its age leaves open", () => {
  expect(storeAskedMs({ ageMs: null }, NOW)).toBe(NOW);
  expect(storeAskedMs(undefined, NOW)).toBe(NOW);
  expect(storeAskedMs({ ageMs: 0 }, NOW)).toBe(NOW - 1_000);
  expect(storeAskedMs({ ageMs: 14_000 }, NOW)).toBe(NOW - 15_000);
});

test("a change of another metric does not", () => {
  expect(isStale({ ...lastHour, metric: "requests" }, justNow, NOW)).toBe(false);
});

test("the past stays as it is while the present changes", () => {
  expect(isStale(longAgo, justNow, NOW)).toBe(false);
});

test("a late event makes the past that it belongs to old", () => {
  expect(isStale(longAgo, { ...justNow, span: { fromMs: 0, toMs: 60_000 } }, NOW)).toBe(true);
});

test("when time goes on, what is relative to now is old and what is not is not", () => {
  expect(isStale(lastHour, TIME_WENT_ON, NOW)).toBe(true);
  expect(isStale(longAgo, TIME_WENT_ON, NOW)).toBe(false);
});

test("after a gap everything is old", () => {
  expect(isStale(longAgo, EVERYTHING, NOW)).toBe(true);
});
