/** The live connection: server-sent events with a watchdog and a backoff of our own. */
import { parseInstant } from "./address";
import { type Freshness, readFreshness } from "./api";
import type { LiveEvent } from "./filters";
import type { Span } from "./ranges";
import { isRecord } from "./shapes";

export type LiveStatus = "connecting" | "live" | "reconnecting" | "offline" | "paused";

export interface LiveState {
  readonly status: LiveStatus;
  readonly freshness: Freshness | null;
  readonly version: string | null;
  readonly lastHeardMs: number | null;
  readonly lastUpdateMs: number | null;
}

export interface Update {
  readonly freshness: Freshness;
  readonly eventsCount: number;
  /** The metrics that changed. */
  readonly metrics: ReadonlySet<string>;
  /** The event times that were touched; null where the server did not say. */
  readonly span: Span | null;
  readonly sample: readonly LiveEvent[];
}

/** What is used of `EventSource`. */
export interface Source {
  addEventListener(type: string, listener: (message: { data?: unknown }) => void): void;
  close(): void;
}

export interface LiveParts {
  readonly open: () => Source;
  readonly now: () => number;
  readonly random: () => number;
  readonly setTimeout: (run: () => void, ms: number) => unknown;
  readonly clearTimeout: (timer: unknown) => void;
}

/** The server speaks every second, so silence this long means that the connection is dead. */
const SILENCE_MS_MAX = 5_000;
const BACKOFF_MS_FIRST = 500;
const BACKOFF_MS_MAX = 10_000;
/** After so many failures in a row the state is called offline. It goes on trying. */
const ATTEMPTS_BEFORE_OFFLINE = 5;

export class LiveConnection {
  #state: LiveState = { status: "paused", freshness: null, version: null, lastHeardMs: null, lastUpdateMs: null };
  #source: Source | null = null;
  #timer: unknown = null;
  #attempts = 0;
  #missed = false;
  readonly #parts: LiveParts;
  readonly #listeners = new Set<() => void>();
  readonly #updateListeners = new Set<(update: Update) => void>();
  readonly #returnListeners = new Set<() => void>();

  constructor(parts: LiveParts) {
    this.#parts = parts;
  }

  readonly subscribe = (listener: () => void): (() => void) => listen(this.#listeners, listener);
  readonly current = (): LiveState => this.#state;
  readonly onUpdate = (listener: (update: Update) => void): (() => void) => listen(this.#updateListeners, listener);
  /** After a gap, in which updates may have been missed: everything on the page has to be asked for anew. */
  readonly onReturn = (listener: () => void): (() => void) => listen(this.#returnListeners, listener);

  start(): void {
    if (this.#source || this.#timer !== null) return;
    this.#set({ status: this.#missed ? "reconnecting" : "connecting" });
    this.#connect();
  }

  pause(): void {
    this.#disconnect();
    this.#attempts = 0;
    this.#missed = true;
    this.#set({ status: "paused" });
  }

  /** Tries at once instead of waiting for the backoff: the network is back, or someone asks. */
  retryNow(): void {
    if (this.#state.status !== "reconnecting" && this.#state.status !== "offline") return;
    this.#disconnect();
    this.#connect();
  }

  #connect(): void {
    this.#timer = null;
    const source = this.#parts.open();
    this.#source = source;
    source.addEventListener("hello", ({ data }) => this.#hear(source, data, this.#greet));
    source.addEventListener("update", ({ data }) => this.#hear(source, data, this.#update));
    source.addEventListener("tick", ({ data }) => this.#hear(source, data, this.#tick));
    source.addEventListener("error", () => this.#fail(source));
    this.#watch(source);
  }

  #hear(source: Source, data: unknown, handle: (message: Record<string, unknown>) => void): void {
    if (source !== this.#source) return;
    const message = parseMessage(data);
    if (!message) return;
    this.#watch(source);
    handle(message);
  }

  readonly #greet = (message: Record<string, unknown>): void => {
    const missed = this.#missed;
    this.#attempts = 0;
    this.#missed = false;
    const version = message["version"];
    this.#heard(message, { status: "live", version: typeof version === "string" ? version : null });
    if (missed) for (const listener of this.#returnListeners) listener();
  };

  readonly #update = (message: Record<string, unknown>): void => {
    this.#heard(message, { lastUpdateMs: this.#parts.now() });
    const update = readUpdate(message);
    for (const listener of this.#updateListeners) listener(update);
  };

  readonly #tick = (message: Record<string, unknown>): void => this.#heard(message, {});

  #heard(message: Record<string, unknown>, change: Partial<LiveState>): void {
    this.#set({ freshness: readFreshness(message["freshness"]), lastHeardMs: this.#parts.now(), ...change });
  }

  #watch(source: Source): void {
    if (this.#timer !== null) this.#parts.clearTimeout(this.#timer);
    this.#timer = this.#parts.setTimeout(() => this.#fail(source), SILENCE_MS_MAX);
  }

  #fail(source: Source): void {
    if (source !== this.#source) return;
    this.#disconnect();
    this.#attempts += 1;
    this.#missed = true;
    this.#set({ status: this.#attempts > ATTEMPTS_BEFORE_OFFLINE ? "offline" : "reconnecting" });
    const wait = Math.min(BACKOFF_MS_FIRST * 2 ** (this.#attempts - 1), BACKOFF_MS_MAX);
    // Between half and all of it, so that many pages don't come back at the same instant.
    this.#timer = this.#parts.setTimeout(() => this.#connect(), wait * (0.5 + this.#parts.random() / 2));
  }

  #disconnect(): void {
    this.#source?.close();
    this.#source = null;
    if (this.#timer !== null) this.#parts.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #set(change: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

export function readUpdate(message: Record<string, unknown>): Update {
  const fromMs = parseInstant(asText(message["from"]));
  const toMs = parseInstant(asText(message["to"]));
  const count = message["events_count"];
  const sample = message["sample"];
  return {
    freshness: readFreshness(message["freshness"]),
    eventsCount: typeof count === "number" ? count : 0,
    metrics: new Set(isRecord(message["metrics"]) ? Object.keys(message["metrics"]) : []),
    span: fromMs !== null && toMs !== null ? { fromMs, toMs } : null,
    sample: Array.isArray(sample) ? sample.filter(isRecord).map(readEvent) : [],
  };
}

function readEvent(item: Record<string, unknown>): LiveEvent {
  const user = item["user_id"];
  const stamp = item["timestamp"];
  return {
    event: asText(item["event"]) ?? "(unnamed)",
    timestampMs: parseInstant(typeof stamp === "number" ? String(stamp) : asText(stamp)) ?? 0,
    userId: typeof user === "string" || typeof user === "number" ? String(user) : null,
    properties: isRecord(item["properties"]) ? item["properties"] : {},
  };
}

function parseMessage(data: unknown): Record<string, unknown> | null {
  if (typeof data !== "string") return null;
  try {
    const message: unknown = JSON.parse(data);
    return isRecord(message) ? message : null;
  } catch {
    return null;
  }
}

function asText(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function listen<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
