/** Dead letters: events that were not counted, and why. */
import { formatInstant } from "./address";
import { type Range, spanOf } from "./ranges";
import { type Item, instant, number, optionalText, text } from "./shapes";

export interface ReasonCount {
  readonly reason: string;
  readonly count: number;
  readonly newestMs: number;
}

export interface Letter {
  /** Its place in the log, which no other has. */
  readonly key: string;
  readonly receivedMs: number;
  readonly reason: string;
  readonly message: string;
  /** The id that its sender knows, where it gave itself a good one; otherwise that of the record. */
  readonly eventId: string;
  readonly original: string;
}

/** How many letters are shown. */
export const LETTERS_MAX = 20;

export function countsPath(range: Range, nowMs: number): string {
  return `/dead-letter/counts?${receivedIn(range, nowMs)}`;
}

export function lettersPath(range: Range, reason: string | null, nowMs: number): string {
  const only = reason === null ? "" : `&reason=${encodeURIComponent(reason)}`;
  return `/dead-letter?${receivedIn(range, nowMs)}&limit=${LETTERS_MAX}${only}`;
}

/** A range up to now has no end here: a letter is not to be missed because this machine's clock is slow. */
function receivedIn(range: Range, nowMs: number): string {
  const { fromMs, toMs } = spanOf(range, nowMs);
  const end = range.kind === "between" ? `&to=${formatInstant(toMs)}` : "";
  return `from=${formatInstant(Math.max(0, fromMs))}${end}`;
}

export function readCount(item: Item): ReasonCount {
  return { reason: text(item, "reason"), count: number(item, "count") ?? 0, newestMs: instant(item, "newest_at") };
}

export function readLetter(item: Item): Letter {
  return {
    key: `${String(number(item, "partition"))}/${String(number(item, "offset"))}`,
    receivedMs: instant(item, "received_at"),
    reason: text(item, "reason"),
    message: text(item, "message"),
    eventId: optionalText(item["replay_as"]) ?? text(item, "event_id"),
    original: text(item, "original"),
  };
}

export function countOf(counts: readonly ReasonCount[]): number {
  return counts.reduce((sum, { count }) => sum + count, 0);
}
