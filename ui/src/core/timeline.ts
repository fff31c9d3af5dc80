/** When alerts were pending and fired, from their changes. */
import type { Alert, Change, Rule } from "./alerts";
import type { Span } from "./ranges";

export type Phase = "pending" | "firing";

export interface Segment extends Span {
  readonly phase: Phase;
}

/** One alert over a span. */
export interface Lane {
  readonly fingerprint: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly segments: readonly Segment[];
}

export interface RuleTimeline {
  readonly rule: string;
  readonly lanes: readonly Lane[];
  /** Of all of them together. */
  readonly segments: readonly Segment[];
  /** How often something of it began to fire in the span. */
  readonly firings: number;
  /** How long anything of it fired. */
  readonly firingMs: number;
}

/** The server answers with no more changes than these, the newest. */
export const CHANGES_MAX = 5_000;

/**
 * The timelines of rules that were not quiet, those that fired longest first. `changes` go from the beginning of the
 * span up to now, whenever it ends: what an alert was before its first change, that change says. One without a change
 * is as `alerts` has it now.
 */
export function timelines(changes: readonly Change[], alerts: readonly Alert[], span: Span): readonly RuleTimeline[] {
  const lanes = new Map<string, { rule: string; lane: Lane }>();
  for (const [key, own] of groupedBy(changes.toSorted((one, other) => one.atMs - other.atMs), keyOf)) {
    const [first] = own;
    if (first) lanes.set(key, { rule: first.rule, lane: { fingerprint: first.fingerprint, labels: first.labels, segments: segmentsOf(own, span) } });
  }
  for (const alert of alerts) {
    const key = keyOf(alert);
    if (!lanes.has(key)) lanes.set(key, { rule: alert.rule, lane: { fingerprint: alert.fingerprint, labels: alert.labels, segments: unchanged(alert, span) } });
  }
  const rules = groupedBy([...lanes.values()].filter(({ lane }) => lane.segments.length > 0), ({ rule }) => rule);
  return [...rules].map(([rule, own]) => timelineOf(rule, own.map(({ lane }) => lane), span)).toSorted((one, other) => other.firingMs - one.firingMs);
}

/** A time in which a rule fired. */
export interface Firing extends Span {
  readonly rule: string;
}

/** When rules that read a metric fired, as far as it can be told from their expressions. */
export function firingsOf(metric: string, rules: readonly Rule[], all: readonly RuleTimeline[]): readonly Firing[] {
  const reads = new RegExp(`(?<![\\w:])${metric}(?![\\w:])`);
  const names = new Set(rules.filter(({ expr }) => reads.test(expr)).map(({ name }) => name));
  return all
    .filter(({ rule }) => names.has(rule))
    .flatMap(({ rule, segments }) => segments.filter(({ phase }) => phase === "firing").map(({ fromMs, toMs }) => ({ rule, fromMs, toMs })));
}

function timelineOf(rule: string, lanes: readonly Lane[], span: Span): RuleTimeline {
  const all = lanes.flatMap(({ segments }) => segments);
  const segments = merged(all);
  const firings = all.filter(({ phase, fromMs }) => phase === "firing" && fromMs > span.fromMs).length;
  const firingMs = segments.reduce((sum, { phase, fromMs, toMs }) => (phase === "firing" ? sum + toMs - fromMs : sum), 0);
  return { rule, lanes, segments, firings, firingMs };
}

function keyOf({ rule, fingerprint }: { readonly rule: string; readonly fingerprint: string }): string {
  return `${fingerprint} ${rule}`;
}

function groupedBy<T>(items: readonly T[], keyOfItem: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOfItem(item));
    if (group) group.push(item);
    else groups.set(keyOfItem(item), [item]);
  }
  return groups;
}

/** `changes`: of one alert, the oldest first. */
function segmentsOf(changes: readonly Change[], span: Span): readonly Segment[] {
  const segments: Segment[] = [];
  let phase = phaseOf(changes[0]?.from);
  let fromMs = span.fromMs;
  const end = (atMs: number): void => {
    const toMs = Math.min(atMs, span.toMs);
    if (phase && fromMs < toMs) segments.push({ phase, fromMs, toMs });
  };
  for (const { atMs, to } of changes) {
    end(atMs);
    phase = phaseOf(to);
    fromMs = Math.max(atMs, span.fromMs);
  }
  end(span.toMs);
  return segments;
}

function unchanged(alert: Alert, span: Span): readonly Segment[] {
  // A rule that is held and found nothing before it was is no alert, only a doubt.
  const fromMs = Math.max(span.fromMs, alert.firedMs ?? alert.activeMs);
  if (alert.state === "resolved" || (alert.state === "held" && alert.value === null) || fromMs >= span.toMs) return [];
  return [{ phase: alert.firedMs === null ? "pending" : "firing", fromMs, toMs: span.toMs }];
}

function phaseOf(state: string | undefined): Phase | null {
  return state === "pending" || state === "firing" ? state : null;
}

/** The same time in as few segments as it takes, in order; what fires after what is pending, to be drawn over it. */
export function merged(segments: readonly Segment[]): readonly Segment[] {
  return (["pending", "firing"] as const).flatMap((phase) => {
    const joined: Segment[] = [];
    for (const one of segments.filter((each) => each.phase === phase).toSorted((first, second) => first.fromMs - second.fromMs)) {
      const last = joined.at(-1);
      if (last && one.fromMs <= last.toMs) joined[joined.length - 1] = { ...last, toMs: Math.max(last.toMs, one.toMs) };
      else joined.push(one);
    }
    return joined;
  });
}
