export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** Half-open: `[fromMs, toMs)`. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What the visitor asked for: the last so long, or a span of its own. */
export type Range = { readonly kind: "last"; readonly last: string } | ({ readonly kind: "between" } & Span);

/** The period before, which is as long; or the same one a week earlier. */
export const COMPARISONS = ["previous", "week"] as const;
export type Comparison = (typeof COMPARISONS)[number];

export const PRESETS = ["15m", "1h", "24h", "7d", "30d"] as const;
export const DEFAULT_RANGE: Range = { kind: "last", last: "24h" };

const UNIT_MS: Readonly<Record<string, number>> = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS };
const UNIT_WORD: Readonly<Record<string, string>> = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };

/** Milliseconds of `15m`, `24h`, `7d`; null where the text is no duration. */
export function durationMs(text: string): number | null {
  const match = /^([1-9]\d{0,5})([smhdw])$/.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ""];
  return match && unit ? Number(match[1]) * unit : null;
}

/** `15m` → `15 minutes`. */
export function durationWords(text: string): string {
  const match = /^(\d+)([smhdw])$/.exec(text);
  const word = UNIT_WORD[match?.[2] ?? ""];
  if (!match || !word) return text;
  return match[1] === "1" ? word : `${match[1]} ${word}s`;
}

/** The width of a point in the API's spelling: 600,000 → `10m`. */
export function stepText(stepMs: number): string {
  for (const unit of ["d", "h", "m"]) {
    const unitMs = UNIT_MS[unit] ?? 1;
    if (stepMs >= unitMs && stepMs % unitMs === 0) return `${stepMs / unitMs}${unit}`;
  }
  return `${Math.round(stepMs / SECOND_MS)}s`;
}

/** The unit of an axis: 60,000 → `minute`, 600,000 → `10 min`. */
export function stepWords(stepMs: number): string {
  const text = stepText(stepMs);
  const count = Number(text.slice(0, -1));
  const word = { s: "second", m: "minute", h: "hour", d: "day" }[text.slice(-1)] ?? "step";
  if (count === 1) return word;
  return `${count} ${word === "minute" ? "min" : word === "second" ? "s" : `${word}s`}`;
}

export function floorTo(ms: number, stepMs: number): number {
  return Math.floor(ms / stepMs) * stepMs;
}

export function overlaps(one: Span, other: Span): boolean {
  return one.fromMs < other.toMs && other.fromMs < one.toMs;
}

/** What a range covers now. The server decides for `last`; this is for choosing what to fetch again. */
export function spanOf(range: Range, nowMs: number): Span {
  if (range.kind === "between") return range;
  return { fromMs: nowMs - (durationMs(range.last) ?? DAY_MS), toMs: nowMs };
}

/** The span that a drag across a chart means: whole steps, at least one. */
export function zoomSpan(startMs: number, endMs: number, stepMs: number): Span {
  const fromMs = floorTo(Math.min(startMs, endMs), stepMs);
  const toMs = floorTo(Math.max(startMs, endMs), stepMs) + stepMs;
  return { fromMs, toMs };
}
