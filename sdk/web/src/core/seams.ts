/** What the core needs of the place it runs in. It knows no DOM. */

export type Properties = Record<string, unknown>;

/** Texts by key. Synchronous, so that an event is kept before `track` returns, whatever happens then. Never throws. */
export interface KeyValues {
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
  /** As they are now. */
  keys(): readonly string[];
}

export interface Answer {
  readonly status: number;
  /** Seconds; 0 where the server said nothing of when to try again. */
  readonly retryAfterS: number;
  /** The server's clock, in milliseconds since 1970; 0 where it said nothing. */
  readonly serverMs?: number;
  /** Of JSON; undefined where it is none. */
  readonly body: unknown;
}

/** Posts a JSON array of events. Rejects where there is no answer. A request goes on when the page is gone, if it can. */
export type Transport = (body: string) => Promise<Answer>;

export interface Lifecycle {
  /** `hide`: the program may be ended without further notice; `wake`: it is worth to try again at once. */
  watch(hide: () => void, wake: () => void): void;
  isOffline(): boolean;
  /** Runs the task while no other client of the same storage (another tab) runs one. */
  alone(task: () => Promise<void>): Promise<void>;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back once; the answer cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** A whole number from 0 to 2^32 - 1, each as likely. */
export type Random = () => number;
