/** Numbers as people read them: 1,284 · 12.8 k · 3.4 M, with the exact value always at hand. */

const SPACE = "\u00a0";
const MINUS = "\u2212";
const SCALES = [
  { from: 1e15, by: 1e15, unit: "P" },
  { from: 1e12, by: 1e12, unit: "T" },
  { from: 1e9, by: 1e9, unit: "G" },
  { from: 1e6, by: 1e6, unit: "M" },
  { from: 1e4, by: 1e3, unit: "k" },
] as const;

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 20 });
const rounded = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

export function exactNumber(value: number | null): string {
  return value === null ? "no value" : signed(grouped.format(value));
}

/** At most four significant figures from 10,000 on; smaller numbers are whole or have two decimals. */
export function compactNumber(value: number | null): string {
  if (value === null) return "–";
  const size = Math.abs(value);
  // 999,950 would round to 1,000.0 k.
  const scale = SCALES.find(({ from }) => size * 1.00005 >= from);
  if (!scale) return signed(rounded.format(value));
  const scaled = value / scale.by;
  const digits = Math.abs(scaled) >= 99.95 ? 0 : 1;
  return signed(`${trimZero(scaled.toFixed(digits))}${SPACE}${scale.unit}`);
}

export interface Change {
  readonly direction: "up" | "down" | "same" | "new";
  /** `+12 %` */
  readonly text: string;
  /** `up 12 %`, for screen readers. */
  readonly words: string;
}

/** From `before` to `now`, in per cent of `before`; null where there is nothing to say. */
export function changeBetween(now: number | null, before: number | null): Change | null {
  if (now === null || before === null || (now === 0 && before === 0)) return null;
  if (before === 0) return { direction: "new", text: "new", words: "new: nothing in the period before" };
  const ratio = (now - before) / Math.abs(before);
  const percent = percentText(Math.abs(ratio));
  if (Math.abs(ratio) < 0.0005) return { direction: "same", text: `±0${SPACE}%`, words: "unchanged" };
  return ratio > 0
    ? { direction: "up", text: `+${percent}`, words: `up ${percent}` }
    : { direction: "down", text: `${MINUS}${percent}`, words: `down ${percent}` };
}

/** 0.1234 → `12 %`; below ten per cent with one decimal; what is not nothing is never shown as nothing. */
export function percentText(ratio: number): string {
  const percent = ratio * 100;
  if (percent > 0 && percent < 0.05) return `<0.1${SPACE}%`;
  if (percent >= 10_000) return `${compactNumber(percent)}${SPACE}%`;
  const text = percent < 9.95 ? trimZero(percent.toFixed(1)) : grouped.format(Math.round(percent));
  return `${text}${SPACE}%`;
}

/** A top for an axis from zero that holds `max`: 1, 2, 2.5, 5 or 10 times a power of ten. */
export function niceCeiling(max: number): number {
  if (!(max > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(max));
  const factor = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((candidate) => candidate * power >= max) ?? 10;
  return factor * power;
}

function trimZero(text: string): string {
  return text.endsWith(".0") ? text.slice(0, -2) : text;
}

function signed(text: string): string {
  return text.startsWith("-") ? MINUS + text.slice(1) : text;
}
