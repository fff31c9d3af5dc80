import type { Metric } from "../core/api";
import { lowerWords, words } from "../core/names";
import { stepWords } from "../core/ranges";
import { isAdditive } from "../core/series";

/** What the values of a metric are: `Views`, or the field that is measured. */
export function unitOf(metric: Metric): string {
  const { kind, field } = metric.measure;
  if (field) return kind === "sum" ? words(field) : `${words(kind)} ${lowerWords(field)}`;
  return words(metric.name);
}

/** What an axis says: `page views per 10 min`, `max duration in each hour`. */
export function axisUnit(metric: Metric, stepMs: number): string {
  const unit = lowerWords(unitOf(metric));
  return isAdditive(metric.measure) ? `${unit} per ${stepWords(stepMs)}` : `${unit} in each ${stepWords(stepMs)}`;
}
