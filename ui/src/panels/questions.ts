/** What the panels of a page ask. One place, so that panels with the same question share one answer. */
import type { Address } from "../core/address";
import type { Metric, Question } from "../core/api";
import type { Filter } from "../core/filters";
import { type Comparison, MINUTE_MS, stepText } from "../core/ranges";

/** Rows of a breakdown that are fetched; the server sums up the rest as `(other)`. */
const ROWS_MAX = 50;
const NOW_STEPS = 30;
const VALUES_MAX = 8;

export function seriesQuestion(metric: Metric, address: Address): Question {
  return { name: metric.name, range: address.range, filters: address.filters, compare: comparisonOf(address) };
}

/** What numbers are compared with, whether or not the chart shows it. */
export function comparisonOf(address: Address): Comparison {
  return address.compare ?? "previous";
}

export function breakdownQuestion(metric: Metric, address: Address, dimension: string): Question & { groupBy: string } {
  return { name: metric.name, range: address.range, filters: address.filters, groupBy: dimension, limit: ROWS_MAX };
}

/** Values of a dimension as they are under the other filters: its own would leave the one that is chosen. */
export function valuesQuestion(metric: Metric, address: Address, dimension: string): Question {
  const filters = address.filters.filter((filter) => filter.dimension !== dimension && metric.dimensions.includes(filter.dimension));
  return { name: metric.name, range: address.range, filters, limit: VALUES_MAX };
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
