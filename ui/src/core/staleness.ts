/** Which answers on the page a change makes old. */
import { type Range, type Span, overlaps, spanOf } from "./ranges";

export interface Change {
  /** The metrics that changed; null: any may have. */
  readonly metrics: ReadonlySet<string> | null;
  /** The event times that were touched; null: any may have been. */
  readonly span: Span | null;
  /** Time went on: what is relative to now covers another span. */
  readonly slides: boolean;
}

export const EVERYTHING: Change = { metrics: null, span: null, slides: true };
export const TIME_WENT_ON: Change = { metrics: new Set(), span: null, slides: true };

/** When the store was asked for an answer, or before: an age is told in whole seconds, rounded down. */
export function storeAskedMs(answer: { readonly ageMs: number | null } | undefined, answeredAtMs: number): number {
  return answer?.ageMs == null ? answeredAtMs : answeredAtMs - answer.ageMs - 1_000;
}

export function isStale(asked: { readonly metric: string; readonly range: Range }, change: Change, nowMs: number): boolean {
  if (change.slides && asked.range.kind === "last") return true;
  if (change.metrics !== null && !change.metrics.has(asked.metric)) return false;
  // Half a minute of tolerance: the clock of this machine is not the server's.
  const span = spanOf(asked.range, nowMs);
  return change.span === null || overlaps({ fromMs: span.fromMs, toMs: span.toMs + 30_000 }, change.span);
}
