/** The newest events of the live samples, newest first, shown a few times a second at most. */
import type { LiveEvent } from "./filters";

export interface FedEvent extends LiveEvent {
  /** Counts up as events arrive, so that a row keeps its identity. */
  readonly serial: number;
}

const EVENTS_MAX = 60;
const SHOW_EVERY_MS = 250;

export class Feed {
  #events: readonly FedEvent[] = [];
  #shown: readonly FedEvent[] = [];
  #serial = 0;
  #waiting = false;
  readonly #listeners = new Set<() => void>();
  readonly #setTimeout: (run: () => void, ms: number) => unknown;

  constructor(setTimeout: (run: () => void, ms: number) => unknown) {
    this.#setTimeout = setTimeout;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly current = (): readonly FedEvent[] => this.#shown;

  add(sample: readonly LiveEvent[]): void {
    if (sample.length === 0) return;
    const fed = sample.map((event) => ({ ...event, serial: (this.#serial += 1) }));
    this.#events = [...fed.toReversed(), ...this.#events].slice(0, EVENTS_MAX);
    if (this.#waiting) return;
    this.#show();
    this.#waiting = true;
    this.#setTimeout(() => {
      this.#waiting = false;
      if (this.#shown !== this.#events) this.#show();
    }, SHOW_EVERY_MS);
  }

  #show(): void {
    this.#shown = this.#events;
    for (const listener of this.#listeners) listener();
  }
}
