/** A client in a place whose time, network and storage a test holds in its hands. */
import { type Client, type ClientOptions, createClient } from "./client";
import { memory } from "./memory";
import type { Answer, Clock, KeyValues, Lifecycle } from "./seams";

export const START_MS = Date.UTC(2026, 0, 1, 12);
export const ACCEPTED = { status: 202, retryAfterS: 0, body: { status: "accepted" } };
export const PREFIX = "t.";

export type Sent = Record<string, unknown>;

export interface ManualClock extends Clock {
  /** Goes on by so much, and calls back what is due on the way. */
  pass(ms: number): Promise<void>;
  /** How long until the next call back. */
  nextMs(): number | undefined;
}

export function manualClock(): ManualClock {
  let nowMs = START_MS;
  let timers: { at: number; callback: () => void }[] = [];
  function due(until: number): { at: number; callback: () => void } | undefined {
    const [first] = timers.filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at);
    return first;
  }
  return {
    now: () => nowMs,
    after(ms, callback) {
      const timer = { at: nowMs + ms, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    async pass(ms) {
      const until = nowMs + ms;
      for (let timer = due(until); timer; timer = due(until)) {
        const called = timer;
        timers = timers.filter((one) => one !== called);
        nowMs = called.at;
        called.callback();
        await settled();
      }
      nowMs = until;
    },
    nextMs: () => (timers.length === 0 ? undefined : Math.min(...timers.map(({ at }) => at)) - nowMs),
  };
}

/** Lets everything run that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

export interface Place {
  readonly client: Client;
  readonly clock: ManualClock;
  readonly storage: KeyValues;
  /** Bodies that were sent, decoded. */
  readonly requests: Sent[][];
  /** What the next requests are answered; then they are accepted. `null`: not at all. */
  readonly answers: (Answer | null)[];
  hide(): void;
  wake(): void;
  isOffline: boolean;
  /** Of events that wait, as the storage has them. */
  waiting(): Sent[];
}

export interface PlaceOptions extends Partial<Omit<ClientOptions, "lifecycle">> {
  readonly clock?: ManualClock;
  readonly alone?: Lifecycle["alone"];
}

let seed = 1;

/** The same numbers in each run (Park and Miller), and others for each client. */
function random(): number {
  seed = (seed * 48_271) % 2_147_483_647;
  return (seed * 2) >>> 0;
}

export function place({ alone, ...given }: PlaceOptions = {}): Place {
  const clock = given.clock ?? manualClock();
  const storage = given.storage ?? memory();
  const requests: Sent[][] = [];
  const answers: (Answer | null)[] = [];
  const found = {
    clock,
    storage,
    requests,
    answers,
    isOffline: false,
    hide: () => {},
    wake: () => {},
    waiting: () =>
      storage
        .keys()
        .filter((key) => key.startsWith(`${PREFIX}event.`))
        .toSorted()
        .map((key) => JSON.parse(storage.get(key) ?? "") as Sent),
  };
  const client = createClient({
    transport: async (body) => {
      requests.push(JSON.parse(body) as Sent[]);
      const answer = answers.length > 0 ? answers.shift() : ACCEPTED;
      if (!answer) throw new Error("no network");
      return answer;
    },
    random,
    prefix: PREFIX,
    ...given,
    clock,
    storage,
    lifecycle: {
      watch(hide, wake) {
        found.hide = hide;
        found.wake = wake;
      },
      isOffline: () => found.isOffline,
      alone: alone ?? ((task) => task()),
    },
  });
  return Object.assign(found, { client });
}

export function names(events: readonly Sent[]): unknown[] {
  return events.map(({ event }) => event);
}
