import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS, MINUTE_MS, durationMs, durationWords, overlaps, spanOf, stepText, stepWords, zoomSpan } from "./ranges";

test("durations are read as the server reads them", () => {
  expect(["15m", "24h", "7d", "2w", "90s"].map(durationMs)).toEqual([15 * MINUTE_MS, DAY_MS, 7 * DAY_MS, 14 * DAY_MS, 90_000]);
  expect(["", "m", "0m", "-1h", "1y", "15 m"].map(durationMs)).toEqual([null, null, null, null, null, null]);
});

test("durations and steps have words", () => {
  expect(durationWords("24h")).toBe("24 hours");
  expect(durationWords("1h")).toBe("hour");
  expect([MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS].map(stepWords)).toEqual(["minute", "10 min", "hour", "6 hours", "day"]);
  expect([MINUTE_MS, 90 * MINUTE_MS, 3 * HOUR_MS, DAY_MS].map(stepText)).toEqual(["1m", "90m", "3h", "1d"]);
});

test("a drag means whole steps, in either direction, and at least one", () => {
  const step = 10 * MINUTE_MS;
  const expected = { fromMs: step, toMs: 4 * step };
  expect(zoomSpan(1.2 * step, 3.7 * step, step)).toEqual(expected);
  expect(zoomSpan(3.7 * step, 1.2 * step, step)).toEqual(expected);
  expect(zoomSpan(2 * step, 2 * step, step)).toEqual({ fromMs: 2 * step, toMs: 3 * step });
});

test("spans are half-open: touching is not overlapping", () => {
  expect(overlaps({ fromMs: 0, toMs: 10 }, { fromMs: 10, toMs: 20 })).toBe(false);
  expect(overlaps({ fromMs: 0, toMs: 11 }, { fromMs: 10, toMs: 20 })).toBe(true);
});

test("the last hour ends now", () => {
  expect(spanOf({ kind: "last", last: "1h" }, HOUR_MS * 5)).toEqual({ fromMs: 4 * HOUR_MS, toMs: 5 * HOUR_MS });
});
