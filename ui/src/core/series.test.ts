import { expect, test } from "vitest";
import type { Series } from "./api";
import { MINUTE_MS } from "./ranges";
import { comparable, drawnRuns, earlierPoints, firstFilling, isAdditive, newest, peak, total } from "./series";

const COUNT = { kind: "count", field: null };
const MAX = { kind: "max", field: "ms" };

function seriesOf(...values: (number | null)[]): Series {
  const points = values.map((value, index) => ({ timestampMs: index * MINUTE_MS, value }));
  return { metric: "m", points, stepMs: MINUTE_MS, fromMs: 0, toMs: values.length * MINUTE_MS, completeUpToMs: null, lagMs: 0, ageMs: null };
}

/** With what was an hour earlier. */
function beside(series: Series, ...compared: (number | null)[]): Series {
  const points = series.points.map((point, index) => ({ ...point, compared: compared[index] ?? null }));
  return { ...series, points, earlier: { fromMs: series.fromMs - 60 * MINUTE_MS, toMs: series.toMs - 60 * MINUTE_MS } };
}

test("a count adds up; an extreme does not", () => {
  expect(total(seriesOf(1, 2, 3).points, COUNT)).toBe(6);
  expect(total(seriesOf(1, null, 3).points, MAX)).toBe(3);
  expect(total(seriesOf(4, null, 3).points, { kind: "min", field: "ms" })).toBe(3);
  expect(total(seriesOf(null).points, MAX)).toBeNull();
  expect(isAdditive({ kind: "sum", field: "max" })).toBe(true);
});

test("a step that ends after the time of completeness is still filling", () => {
  const series = seriesOf(1, 2, 3);
  expect(firstFilling(series, 2 * MINUTE_MS)).toBe(2);
  expect(firstFilling(series, 2 * MINUTE_MS + 59_999)).toBe(2);
  expect(firstFilling(series, 3 * MINUTE_MS)).toBe(3);
});

test("before anything was counted no step is sure", () => {
  expect(firstFilling(seriesOf(0, 0), null)).toBe(0);
});

test("the period before is compared over the same number of complete steps", () => {
  const pair = comparable(beside(seriesOf(5, 5, 1), 4, 4, 4), 2 * MINUTE_MS + 10_000);
  expect(pair && [total(pair.now, COUNT), total(pair.before, COUNT)]).toEqual([10, 8]);
});

test("where no step is complete there is nothing to compare", () => {
  expect(comparable(beside(seriesOf(1), 1), 0)).toBeNull();
  expect(comparable(seriesOf(1), MINUTE_MS)).toBeNull();
});

test("what is compared with stands at its own times", () => {
  expect(earlierPoints(beside(seriesOf(1, 2), 7, null))).toEqual([{ timestampMs: -60 * MINUTE_MS, value: 7 }, { timestampMs: -59 * MINUTE_MS, value: null }]);
  expect(drawnRuns(beside(seriesOf(1, 2), 7, 8), true, null).before).toEqual([7, 8]);
  expect(drawnRuns(beside(seriesOf(1, 2), 7, 8), false, null).before).toEqual([null, null]);
});

test("the line that is sure and the one that is filling meet in one point", () => {
  const runs = drawnRuns(seriesOf(1, 2, 3), false, 2 * MINUTE_MS);
  expect(runs.sure).toEqual([1, 2, null]);
  expect(runs.filling).toEqual([null, 2, 3]);
});

test("a complete series has nothing that is filling", () => {
  expect(drawnRuns(seriesOf(1, 2), false, 9 * MINUTE_MS).filling).toEqual([null, null]);
});

test("the peak is the highest value, the first of equals", () => {
  expect(peak(seriesOf(1, 7, null, 7).points)?.timestampMs).toBe(MINUTE_MS);
  expect(peak([])).toBeNull();
});

test("the newest complete step is set against the mean of those before", () => {
  expect(newest(seriesOf(2, 4, 9, 1), 3 * MINUTE_MS)).toEqual({ point: { timestampMs: 2 * MINUTE_MS, value: 9 }, mean: 3 });
  expect(newest(seriesOf(1), 0)).toBeNull();
});
