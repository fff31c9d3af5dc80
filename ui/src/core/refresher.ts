/**
 * Coalesces "something changed" into refreshes: the first at once, then never two at a time, and with a pause that
 * grows with what a refresh costs, so that a page over a slow store doesn't become its main load.
 */
export interface RefresherParts<Change> {
  readonly run: (changes: readonly Change[]) => Promise<unknown>;
  readonly now: () => number;
  readonly setTimeout: (run: () => void, ms: number) => unknown;
}

const INTERVAL_MS_MIN = 500;
const INTERVAL_MS_MAX = 10_000;
/** A refresh may take at most one third of the time. */
const PAUSE_PER_COST = 3;
/** Changes beyond are merged by the caller's `run` anyway; the bound keeps a hidden page from growing. */
const CHANGES_MAX = 1_000;

export class Refresher<Change> {
  #changes: Change[] = [];
  #running = false;
  #waiting = false;
  #held = false;
  #earliestMs = 0;
  readonly #parts: RefresherParts<Change>;

  constructor(parts: RefresherParts<Change>) {
    this.#parts = parts;
  }

  add(change: Change): void {
    if (this.#changes.length < CHANGES_MAX) this.#changes.push(change);
    this.#consider();
  }

  /** While held (a hidden page, a drag), changes are kept and nothing runs. */
  hold(held: boolean): void {
    this.#held = held;
    if (!held) this.#consider();
  }

  #consider(): void {
    if (this.#running || this.#waiting || this.#held || this.#changes.length === 0) return;
    const wait = this.#earliestMs - this.#parts.now();
    if (wait <= 0) {
      void this.#run();
      return;
    }
    this.#waiting = true;
    this.#parts.setTimeout(() => {
      this.#waiting = false;
      this.#consider();
    }, wait);
  }

  async #run(): Promise<void> {
    const changes = this.#changes;
    this.#changes = [];
    this.#running = true;
    const startedMs = this.#parts.now();
    try {
      await this.#parts.run(changes);
    } finally {
      const cost = this.#parts.now() - startedMs;
      const interval = Math.min(INTERVAL_MS_MAX, Math.max(INTERVAL_MS_MIN, cost * PAUSE_PER_COST));
      this.#earliestMs = startedMs + interval;
      this.#running = false;
      this.#consider();
    }
  }
}
