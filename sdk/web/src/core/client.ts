import { ids } from "./ids";
import { memory } from "./memory";
import { DROPPED, queue, sizeOf } from "./queue";
import type { Clock, KeyValues, Lifecycle, Properties, Random, Transport } from "./seams";
import { sender } from "./sender";

const EVENT_BYTES_MAX = 32_000;
/** A difference up to this is taken for what an answer takes, and left alone. */
const CLOCK_MS_MAX = 60_000;
const SESSION_GAP_MS = 30 * 60_000;

/** `pending`: until the person has answered, events wait in memory alone. `denied`: nothing is kept or sent. */
export type Consent = "granted" | "pending" | "denied";

export interface Client {
  track(event: string, properties?: Properties): void;
  /** A `page_view`. */
  page(properties?: Properties): void;
  /** From now on events are of this user; traits go into the user's profile. */
  identify(userId: string | number, traits?: Properties): void;
  /** The user has left: from now on events are of somebody else. */
  reset(): void;
  /** Sends what waits. Resolves when that was tried; what failed stays in the queue. */
  flush(): Promise<void>;
  /** Remembered: goes before the `consent` that the client was made with, unless that is `denied`. */
  optIn(): void;
  /** Remembered. Forgets the person and what waits. */
  optOut(): void;
}

export interface ClientOptions {
  readonly storage: KeyValues;
  readonly transport: Transport;
  readonly lifecycle: Lifecycle;
  readonly clock: Clock;
  readonly random: Random;
  /** Of keys in the storage; clients with the same one share everything. */
  readonly prefix: string;
  readonly consent?: Consent | undefined;
  /** Properties of every event. */
  readonly context?: (() => Properties) | undefined;
  readonly batchEventsMax?: number | undefined;
  readonly flushMs?: number | undefined;
  readonly queueBytesMax?: number | undefined;
}

export function createClient(options: ClientOptions): Client {
  const { storage, clock, random, prefix, context } = options;
  const choiceKey = `${prefix}consent`;
  const userKey = `${prefix}user`;
  const anonymousKey = `${prefix}anonymous`;
  const sessionKey = `${prefix}session`;
  const clockKey = `${prefix}clock`;
  const newId = ids(clock.now, random);
  /** Of before the person has answered. */
  const undecided = memory();
  const waiting = queue(place, prefix, options.queueBytesMax ?? 1_000_000);
  const sending = sender({
    ...options,
    queue: waiting,
    batchEventsMax: options.batchEventsMax ?? 100,
    flushMs: options.flushMs ?? 10_000,
    maySend: () => settleConsent() === "granted",
    onDropped,
    onClock(aheadMs) {
      if (Math.abs(aheadMs) > CLOCK_MS_MAX) place().set(clockKey, `${aheadMs}`);
      else if (place().get(clockKey)) place().remove(clockKey);
    },
  });

  /** Asked anew each time: another tab may have got the answer. */
  function consent(): Consent {
    if (options.consent === "denied") return "denied";
    const choice = storage.get(choiceKey);
    return choice === "in" ? "granted" : choice === "out" ? "denied" : (options.consent ?? "granted");
  }

  function place(): KeyValues {
    return consent() === "granted" ? storage : undecided;
  }

  function forget(where: KeyValues): void {
    for (const key of where.keys()) if (key.startsWith(prefix) && key !== choiceKey) where.remove(key);
  }

  /** Brings what waited for the answer to where the answer wants it. */
  function settleConsent(): Consent {
    const state = consent();
    if (state !== "pending") {
      const keys = undecided.keys();
      for (const key of state === "granted" ? keys : []) storage.set(key, undecided.get(key) ?? "");
      if (keys.length > 0) waiting.moved();
      forget(undecided);
    }
    return state;
  }

  function remembered(key: string): string {
    const known = place().get(key);
    if (known) return known;
    const made = newId();
    place().set(key, made);
    return made;
  }

  function session(nowMs: number): string {
    const [id, lastMs] = (place().get(sessionKey) ?? "").split(" ");
    const idleMs = nowMs - Number(lastMs);
    const current = id && idleMs < SESSION_GAP_MS && idleMs > -SESSION_GAP_MS ? id : newId();
    place().set(sessionKey, `${current} ${nowMs}`);
    return current;
  }

  function record(event: string, properties?: Properties): void {
    if (settleConsent() === "denied") return;
    const nowMs = clock.now();
    const id = newId();
    const isReport = event === DROPPED;
    let line: string | undefined;
    try {
      line = JSON.stringify({
        ...(isReport ? {} : context?.()),
        ...properties,
        event,
        event_id: id,
        timestamp: nowMs - Number(place().get(clockKey)),
        user_id: place().get(userKey) ?? undefined,
        anonymous_id: remembered(anonymousKey),
        session_id: session(nowMs),
      });
    } catch {
      // Circular, say; there is no line.
    }
    if (!line || sizeOf(line) > EVENT_BYTES_MAX) {
      onDropped(line ? "too_large" : "unserializable", 1);
      return;
    }
    const dropped = waiting.add(id, line);
    for (const why in dropped) onDropped(why, dropped[why] ?? 0);
    sending.added();
  }

  function onDropped(reason: string, count: number): void {
    record(DROPPED, { reason, count });
  }

  if (options.consent === "denied") forget(storage);
  else options.lifecycle.watch(sending.hide, sending.wake);
  if (!waiting.isEmpty()) sending.added();

  return {
    track: record,
    page: (properties) => record("page_view", properties),
    identify(userId, traits) {
      if (settleConsent() === "denied") return;
      place().set(userKey, `${userId}`);
      record("identify", traits && { traits });
    },
    reset() {
      for (const key of [userKey, anonymousKey, sessionKey]) place().remove(key);
    },
    flush: sending.flush,
    optIn() {
      if (options.consent === "denied") return;
      storage.set(choiceKey, "in");
      settleConsent();
      sending.wake();
    },
    optOut() {
      storage.set(choiceKey, "out");
      forget(storage);
      forget(undecided);
    },
  };
}
