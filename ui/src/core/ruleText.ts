/** Rules while they are written: what they mean, how it looked, and when they would have fired. */
import { parseInstant } from "./address";
import { type Rule, readRule, strings } from "./alerts";
import { MINUTE_MS, type Span } from "./ranges";
import { type Item, instant, isRecord, list, listIn, number, optionalText, record, text, texts } from "./shapes";
import type { Segment } from "./timeline";

export interface Checked {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
  readonly notes: readonly string[];
}

export interface Tested {
  readonly name: string;
  readonly expr: string;
  readonly firings: number;
  readonly firingMs: number;
  readonly notifications: number;
  readonly segments: readonly Segment[];
}

export interface Backtest {
  readonly span: Span;
  readonly rules: readonly Tested[];
}

/** One series of an expression. */
export interface Curve {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly { readonly atMs: number; readonly value: number }[];
}

/** What of an expression is to be drawn, and the line that it is held against. */
export interface Threshold {
  readonly expr: string;
  /** Null: it isn't held against a number. */
  readonly limit: number | null;
}

const POINTS_MAX = 240;
const COMPARED = /^([^]*?)\s*(?:==|!=|>=|<=|>|<)\s*(?:bool\s+)?([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)$/i;
const LOOSER = /\b(?:and|or|unless)\b/i;

/**
 * `sum(x) > 5` is `sum(x)` against 5, and so is `(sum(x) > 5) and (…)`, as short forms of rules are. Where the
 * comparison is elsewhere, as in `a and b > 5`, the expression is drawn as it is.
 */
export function thresholdOf(expr: string): Threshold {
  const whole = expr.trim();
  const first = firstOfBoth(whole);
  const inner = first === null ? null : thresholdOf(first);
  if (inner && inner.limit !== null) return inner;
  const match = COMPARED.exec(whole);
  const left = match?.[1] ?? "";
  const outermost = outside(left);
  if (!match || outermost === null || outermost === "" || LOOSER.test(outermost)) return { expr: whole, limit: null };
  return { expr: left, limit: Number(match[2]) };
}

/** `a` of `(a) and (b)`; null where it is something else. */
function firstOfBoth(expr: string): string | null {
  if (!expr.startsWith("(")) return null;
  const bare = withoutQuotes(expr);
  let depth = 0;
  for (let at = 0; at < bare.length; at += 1) {
    depth += bare[at] === "(" ? 1 : bare[at] === ")" ? -1 : 0;
    if (depth === 0) return /^\s*and\s*_$/i.test(outside(expr.slice(at + 1)) ?? "") ? expr.slice(1, at) : null;
  }
  return null;
}

/** As long as it was: each quoted letter is a mark. */
function withoutQuotes(expr: string): string {
  return expr.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, (quoted) => "_".repeat(quoted.length));
}

/** What is in no brackets and no quotes, these left as marks; null where they don't close. */
function outside(expr: string): string | null {
  const bare = withoutQuotes(expr);
  let depth = 0;
  let kept = "";
  for (const letter of bare) {
    if ("({[".includes(letter)) depth += 1;
    if (depth === 0) kept += letter;
    if (")}]".includes(letter)) {
      depth -= 1;
      kept += "_";
    }
    if (depth < 0) return null;
  }
  return depth === 0 ? kept : null;
}

export function curvesPath(expr: string, { fromMs, toMs }: Span): string {
  const stepMs = Math.max(1, Math.ceil((toMs - fromMs) / POINTS_MAX / MINUTE_MS)) * MINUTE_MS;
  const aligned = (ms: number): string => String((Math.floor(ms / stepMs) * stepMs) / 1_000);
  const query = new URLSearchParams({ query: expr, start: aligned(fromMs), end: aligned(toMs), step: String(stepMs / 1_000) });
  return `/api/v1/query_range?${query.toString()}`;
}

export function readCurves(body: unknown): readonly Curve[] {
  return listIn(record(body)["data"], "result").map((item) => ({ labels: texts(item, "metric"), points: pointsOf(item["values"]) }));
}

function pointsOf(values: unknown): Curve["points"] {
  const pairs = Array.isArray(values) ? (values as unknown[]) : [];
  return pairs
    .map((pair) => (Array.isArray(pair) ? { atMs: Number(pair[0]) * 1_000, value: Number(pair[1]) } : { atMs: NaN, value: NaN }))
    .filter(({ atMs, value }) => Number.isFinite(atMs) && Number.isFinite(value));
}

export function readChecked(body: unknown): Checked {
  return {
    groups: listIn(body, "groups").map((group) => ({ name: text(group, "name"), rules: list(group["rules"]).map(readRule) })),
    notes: isRecord(body) ? strings(body["notes"]) : [],
  };
}

export function readBacktest(body: unknown): Backtest {
  const item = record(body);
  const span = { fromMs: instant(item, "from"), toMs: instant(item, "to") };
  return { span, rules: listIn(body, "rules").map((rule) => readTested(rule, span)) };
}

function readTested(item: Item, span: Span): Tested {
  return {
    name: text(item, "name"),
    expr: text(item, "expr"),
    firings: number(item, "firings_count") ?? 0,
    firingMs: number(item, "firing_ms") ?? 0,
    notifications: number(item, "notifications") ?? 0,
    segments: list(item["firings"]).map((firing) => ({ phase: "firing", fromMs: instant(firing, "started_at"), toMs: parseInstant(optionalText(firing["ended_at"])) ?? span.toMs })),
  };
}
