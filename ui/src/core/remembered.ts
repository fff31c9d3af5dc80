/** One text that a browser keeps between visits; where it may keep nothing, until the page is left. */
export class Remembered {
  readonly #storage: Storage | null;
  readonly #key: string;
  #text: string;

  constructor(storage: Storage | null, key: string) {
    this.#storage = storage;
    this.#key = key;
    this.#text = storage?.getItem(key) ?? "";
  }

  readonly current = (): string => this.#text;

  remember(text: string): void {
    this.#text = text;
    try {
      this.#storage?.setItem(this.#key, text);
    } catch {
      // It is full, or writing is forbidden: it was only for convenience.
    }
  }
}
