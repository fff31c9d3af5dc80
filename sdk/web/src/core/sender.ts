import type { Entry, Queue } from "./queue";
import { reportOf } from "./queue";
import type { Answer, Clock, Lifecycle, Random, Transport } from "./seams";

/** Browsers let 64 KiB be under way while a page goes. */
const BATCH_BYTES_MAX = 60_000;
const RETRY_MS_BASE = 1_000;
const RETRY_MS_MAX = 300_000;
const RETRY_AFTER_S_MAX = 3_600;
/** An answer that took longer, because the machine slept say, tells nothing of the time. */
const CLOCK_ANSWER_MS_MAX = 5_000;

export interface SenderOptions {
  readonly queue: Queue;
  readonly transport: Transport;
  readonly lifecycle: Lifecycle;
  readonly clock: Clock;
  readonly random: Random;
  readonly batchEventsMax: number;
  readonly flushMs: number;
  readonly maySend: () => boolean;
  readonly onDropped: (reason: string, count: number) => void;
  /** By how much the clock here is ahead of the server's. */
  readonly onClock: (aheadMs: number) => void;
}

/** When what is sent: by number, by time, as the page goes, and again where it failed. */
export function sender(options: SenderOptions) {
  const { queue, transport, lifecycle, clock, random, batchEventsMax, flushMs, maySend, onDropped, onClock } = options;
  let added = 0;
  let failures = 0;
  /** The server said so. */
  let notBeforeMs = 0;
  /** Smaller than the maximum while a batch is searched for the event that a server can't stand. */
  let eventsMax = batchEventsMax;
  let running: Promise<void> | undefined;
  let cancel: (() => void) | undefined;

  function plan(ms: number): void {
    cancel?.();
    cancel = clock.after(ms, () => {
      cancel = undefined;
      void flush();
    });
  }

  function flush(): Promise<void> {
    // Not at once: what the caller adds beside is to be part of it.
    running ??= Promise.resolve()
      .then(() => lifecycle.alone(drain))
      .then(ended, ended);
    return running;
  }

  function ended(): void {
    running = undefined;
  }

  async function drain(): Promise<void> {
    const unconfirmed = queue.removeUnconfirmed(clock.now());
    if (unconfirmed) onDropped("unconfirmed", unconfirmed);
    added = 0;
    let isGoing = true;
    while (isGoing && maySend()) {
      const waitMs = notBeforeMs - clock.now();
      if (waitMs > 0) {
        plan(waitMs);
        return;
      }
      const batch = queue.head(eventsMax, BATCH_BYTES_MAX);
      isGoing = batch.length > 0 && (await send(batch));
    }
  }

  /** Whether to go on with what is next. */
  async function send(batch: readonly Entry[]): Promise<boolean> {
    queue.lease(batch);
    const sentMs = clock.now();
    const answer = await transport(`[${batch.map(({ line }) => line).join(",")}]`).catch(() => undefined);
    queue.release(batch);
    const answeredMs = clock.now();
    if (answer?.serverMs && Math.abs(answeredMs - sentMs) < CLOCK_ANSWER_MS_MAX) onClock(answeredMs - answer.serverMs);
    return settle(batch, answer);
  }

  function settle(batch: readonly Entry[], answer?: Answer): boolean {
    const status = answer?.status ?? 0;
    const body = answer?.body as Partial<Body> | null | undefined;
    const rejected = body?.rejected;
    // A network that wants a login answers 200 as well, with a page of its own.
    if (rejected || (status >= 200 && status < 300 && body?.status)) {
      queue.remove(batch);
      report(batch, rejected ?? []);
      eventsMax = Math.min(batchEventsMax, eventsMax * 2);
      failures = 0;
      return true;
    }
    if (status === 400 || status === 413 || status === 422) {
      if (batch.length > 1) {
        eventsMax = Math.ceil(batch.length / 2);
      } else {
        queue.remove(batch);
        report(batch, [{ index: 0, code: body?.error?.code ?? `http_${status}` }]);
      }
      return true;
    }
    failures++;
    const retryAfterMs = Math.min(answer?.retryAfterS ?? 0, RETRY_AFTER_S_MAX) * 1_000;
    notBeforeMs = clock.now() + retryAfterMs;
    const spreadMs = Math.min(RETRY_MS_MAX, RETRY_MS_BASE * 2 ** failures);
    plan(retryAfterMs + (spreadMs * random()) / 2 ** 32);
    return false;
  }

  function report(batch: readonly Entry[], rejected: readonly Rejected[]): void {
    const counts: Record<string, number> = {};
    for (const { index, code } of rejected) {
      // A report that is rejected itself is not reported, lest that goes on for ever.
      if (!reportOf(batch[index]?.line ?? "")) counts[code] = (counts[code] ?? 0) + 1;
    }
    for (const code in counts) onDropped(code, counts[code] ?? 0);
  }

  return {
    flush,

    /** An event is in the queue, or may be. */
    added(): void {
      added++;
      if (!cancel) plan(flushMs);
      if (added >= batchEventsMax && !failures) void flush();
    },

    hide(): void {
      if (!maySend() || clock.now() < notBeforeMs || lifecycle.isOffline()) return;
      const batch = queue.head(eventsMax, BATCH_BYTES_MAX);
      if (batch.length === 0) return;
      queue.mark(batch);
      void send(batch).then((isSettled) => {
        if (!isSettled) queue.unmark();
      });
    },

    wake(): void {
      failures = 0;
      void flush();
    },
  };
}

interface Rejected {
  readonly index: number;
  readonly code: string;
}

/** What the server answers. */
interface Body {
  readonly status: string;
  readonly rejected: readonly Rejected[];
  readonly error: { readonly code: string };
}
