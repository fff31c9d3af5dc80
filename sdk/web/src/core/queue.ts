import { msOf } from "./ids";
import type { KeyValues } from "./seams";

export interface Entry {
  readonly key: string;
  readonly line: string;
}

/** The event that says how many events were dropped, and why. */
export const DROPPED = "sdk_dropped";

const UNCONFIRMED_MS_MAX = 24 * 3_600_000;
/** As long as a server tells an event that is sent again from a new one. */

const FULL = 0.9;

/** What a line reports, if it is a report. */
export function reportOf(line: string): { reason: string; count: number } | undefined {
  try {
    const event = JSON.parse(line) as { event: string; reason: string; count: number };
    return event.event === DROPPED ? event : undefined;
  } catch {
    return undefined;
  }
}

/** At least the bytes of a line of JSON in UTF-8 with its comma: without TextEncoder, which not every place has. */
export function sizeOf(line: string): number {
  return line.replace(/[^ -~]/g, "xxx").length + 1;
}

/**
 * Events that wait to be sent, one key each: tabs that share the storage add and remove beside each other without
 * reading what they write, so that none overwrites what another one did. In the order of their ids, which is that of time.
 *
 * `place`: where they are kept now. `bytesMax`: of all of them; over it the oldest are dropped.
 */
export function queue(place: () => KeyValues, prefix: string, bytesMax: number) {
  const underWay = new Set<string>();
  const markKey = `${prefix}hidden`;
  const eventPrefix = `${prefix}event.`;
  /** What this tab has added since it last looked, and what was there then. */
  let bytes = Infinity;

  function keys(): string[] {
    return place()
      .keys()
      .filter((key) => key.startsWith(eventPrefix))
      .sort();
  }

  function entries(): Entry[] {
    return keys().flatMap((key) => {
      const line = place().get(key);
      return line === null ? [] : { key, line };
    });
  }

  /** Drops the oldest until there is room, but none that is under way: it may arrive. A report is added up again. */
  function makeRoom(size: number, dropped: Record<string, number>): void {
    const all = entries();
    bytes = size;
    for (const { line } of all) bytes += sizeOf(line);
    if (bytes <= bytesMax) return;
    for (const { key, line } of all) {
      if (bytes <= bytesMax * FULL) return;
      if (underWay.has(key)) continue;
      const { reason, count } = reportOf(line) ?? { reason: "queue_full", count: 1 };
      dropped[reason] = (dropped[reason] ?? 0) + count;
      place().remove(key);
      bytes -= sizeOf(line);
    }
  }

  return {
    /** Returns how many were dropped for it, or it itself, by reason. For a report none is, lest that goes on for ever. */
    add(id: string, line: string): Record<string, number> {
      const size = sizeOf(line);
      const dropped: Record<string, number> = {};
      bytes += size;
      if (bytes > bytesMax && !reportOf(line)) {
        makeRoom(size, dropped);
        if (bytes > bytesMax) {
          bytes -= size;
          return { ...dropped, queue_full: (dropped["queue_full"] ?? 0) + 1 };
        }
      }
      place().set(eventPrefix + id, line);
      return dropped;
    },

    /** The oldest that are not under way. */
    head(eventsMax: number, batchBytesMax: number): Entry[] {
      let left = batchBytesMax;
      const found: Entry[] = [];
      for (const entry of entries()) {
        if (underWay.has(entry.key)) continue;
        left -= sizeOf(entry.line);
        if (found.length >= eventsMax || (left < 0 && found.length > 0)) break;
        found.push(entry);
      }
      return found;
    },

    lease(batch: readonly Entry[]): void {
      for (const { key } of batch) underWay.add(key);
    },

    release(batch: readonly Entry[]): void {
      for (const { key } of batch) underWay.delete(key);
    },

    remove(batch: readonly Entry[]): void {
      for (const { key } of batch) place().remove(key);
    },

    /** Remembers that all up to the last of these were sent as the page was hidden: it may never see the answer. */
    mark(batch: readonly Entry[]): void {
      const last = batch[batch.length - 1];
      if (last) place().set(markKey, last.key);
    },

    unmark(): void {
      place().remove(markKey);
    },

    /** Removes what was marked so long ago that a server would take it for something new and too late; how many. */
    removeUnconfirmed(nowMs: number): number {
      const mark = place().get(markKey);
      if (mark === null) return 0;
      const old = keys().filter((key) => key <= mark && nowMs - msOf(key.slice(eventPrefix.length)) > UNCONFIRMED_MS_MAX);
      for (const key of old) place().remove(key);
      return old.length;
    },

    isEmpty: () => keys().length === 0,

    /** After what `place` answers has changed. */
    moved(): void {
      bytes = Infinity;
    },
  };
}

export type Queue = ReturnType<typeof queue>;
