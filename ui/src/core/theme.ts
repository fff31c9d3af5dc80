/** The theme: the system's, or one that was chosen and is kept in this browser. */
export type Theme = "system" | "light" | "dark";

const KEY = "streamgauge.theme";
const ORDER: readonly Theme[] = ["system", "light", "dark"];

export class ThemeStore {
  #theme: Theme;
  readonly #listeners = new Set<() => void>();
  readonly #root: { readonly dataset: DOMStringMap };
  readonly #storage: Pick<Storage, "setItem" | "removeItem"> | null;

  constructor(root: { readonly dataset: DOMStringMap }, storage: Pick<Storage, "setItem" | "removeItem"> | null) {
    this.#root = root;
    this.#storage = storage;
    const chosen = root.dataset["theme"];
    this.#theme = chosen === "light" || chosen === "dark" ? chosen : "system";
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly current = (): Theme => this.#theme;

  readonly next = (): void => {
    this.#theme = ORDER[(ORDER.indexOf(this.#theme) + 1) % ORDER.length] ?? "system";
    if (this.#theme === "system") {
      delete this.#root.dataset["theme"];
      this.#storage?.removeItem(KEY);
    } else {
      this.#root.dataset["theme"] = this.#theme;
      this.#storage?.setItem(KEY, this.#theme);
    }
    for (const listener of this.#listeners) listener();
  };
}
