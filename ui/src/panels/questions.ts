/** What the panels of a page ask. One place, so that panels with the same question share one answer. */
import type { Address } from "../core/address";
import type { Metric, Question } from "../core/api";
import type { Filter } from "../core/filters";
import { MINUTE_MS, stepText } from "../core/ranges";

/** Rows of a breakdown that are fetched; the server sums up the rest as `(other)`. */
const ROWS_MAX = 50;
const NOW_STEPS = 30;

export function seriesQuestion(metric: Metric, address: Address): Question {
  return { name: metric.name, range: address.range, filters: address.filters };
}

export function breakdownQuestion(metric: Metric, address: Address, dimension: string): Question & { groupBy: string } {
  return { ...seriesQuestion(metric, address), groupBy: dimension, limit: ROWS_MAX };
}

/** The last half hour by the minute, whatever range the page has. */
export function nowQuestion(metric: Metric, filters: readonly Filter[]): Question {
  const stepMs = Math.max(MINUTE_MS, metric.windowMs);
  const step = stepText(stepMs);
  return { name: metric.name, range: { kind: "last", last: stepText(stepMs * NOW_STEPS) }, filters, step };
}

/** The filters that a metric can't answer. */
export function foreignFilters(metric: Metric, filters: readonly Filter[]): readonly Filter[] {
  return filters.filter((filter) => !metric.dimensions.includes(filter.dimension));
}
