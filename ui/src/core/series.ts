/** What can be said about a time series. */
import type { Measure, Point, Series } from "./api";

/** Whether values of a measure may be added up over time and over dimensions. */
export function isAdditive(measure: Measure): boolean {
  return measure.kind !== "min" && measure.kind !== "max";
}

/** One number for the whole series: the sum, or for a measure that does not add, its extreme. Null: no value. */
export function total(points: readonly Point[], measure: Measure): number | null {
  const values = points.flatMap((point) => (point.value === null ? [] : [point.value]));
  if (isAdditive(measure)) return values.reduce((sum, value) => sum + value, 0);
  if (values.length === 0) return null;
  return measure.kind === "min" ? Math.min(...values) : Math.max(...values);
}

/**
 * The complete steps of a series and those they are compared with. The step that is still filling would make the
 * present look smaller than it is, so neither has it. Null where there is nothing to compare.
 */
export function comparable(
  series: Series,
  completeUpToMs: number | null,
): { readonly now: readonly Point[]; readonly before: readonly Point[] } | null {
  const now = series.points.slice(0, firstFilling(series, completeUpToMs));
  if (!series.earlier || now.length === 0) return null;
  return { now, before: earlierPoints(series).slice(0, now.length) };
}

/** The period that is compared with, step by step, at its own times. */
export function earlierPoints(series: Series): readonly Point[] {
  const shiftMs = series.earlier ? series.fromMs - series.earlier.fromMs : 0;
  return series.points.map(({ timestampMs, compared }) => ({ timestampMs: timestampMs - shiftMs, value: compared ?? null }));
}

/** The index of the first step that may still grow; the number of points where all are complete. */
export function firstFilling(series: Series, completeUpToMs: number | null): number {
  if (completeUpToMs === null) return 0;
  const index = series.points.findIndex((point) => point.timestampMs + series.stepMs > completeUpToMs);
  // A step that is cut off by the end of the asked range is complete when the range is.
  if (index < 0 || completeUpToMs >= series.toMs) return series.points.length;
  return index;
}

export function peak(points: readonly Point[]): Point | null {
  let highest: Point | null = null;
  for (const point of points) {
    if (point.value !== null && (highest === null || point.value > (highest.value ?? -Infinity))) highest = point;
  }
  return highest;
}

/** The newest complete step, and the mean of the complete ones before it. */
export function newest(series: Series, completeUpToMs: number | null): { point: Point; mean: number | null } | null {
  const complete = series.points.slice(0, firstFilling(series, completeUpToMs));
  const point = complete.at(-1);
  if (!point) return null;
  const before = complete.slice(0, -1).flatMap(({ value }) => (value === null ? [] : [value]));
  return { point, mean: before.length === 0 ? null : before.reduce((sum, value) => sum + value, 0) / before.length };
}

export function isSilent(series: Series): boolean {
  return series.points.every((point) => !point.value);
}

/** The three runs of y values that a chart draws: sure, still filling (joined to the last sure one), compared with. */
export function drawnRuns(
  series: Series,
  compares: boolean,
  completeUpToMs: number | null,
): { xs: number[]; sure: (number | null)[]; filling: (number | null)[]; before: (number | null)[] } {
  const split = firstFilling(series, completeUpToMs);
  return {
    xs: series.points.map((point) => point.timestampMs / 1_000),
    sure: series.points.map((point, index) => (index < split ? point.value : null)),
    filling: series.points.map((point, index) => (index >= split - 1 && split < series.points.length ? point.value : null)),
    before: series.points.map(({ compared }) => (compares ? (compared ?? null) : null)),
  };
}
