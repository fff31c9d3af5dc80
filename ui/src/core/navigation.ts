/** The address as a store: a change is a step in the browser's history, so that the back button is undo. */
import { type Address, DEFAULT_ADDRESS, formatAddress, parseAddress } from "./address";

/** What is used of `window`. */
export interface Browser {
  readonly location: { readonly pathname: string; readonly search: string };
  readonly history: Pick<History, "state" | "pushState" | "replaceState" | "back">;
  addEventListener(type: "popstate", listener: () => void): void;
}

export class Navigation {
  #address: Address;
  readonly #browser: Browser;
  readonly #listeners = new Set<() => void>();

  constructor(browser: Browser) {
    this.#browser = browser;
    this.#address = parseAddress(browser.location.search);
    browser.addEventListener("popstate", () => {
      this.#address = parseAddress(browser.location.search);
      this.#tell();
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly current = (): Address => this.#address;

  /** A step that the back button undoes. */
  go(change: Partial<Address>): void {
    this.#set(change, (url) => this.#browser.history.pushState({ depth: this.#depth() + 1 }, "", url));
  }

  /** A change of how the page is looked at, not of what is looked at: no step. */
  adjust(change: Partial<Address>): void {
    this.#set(change, (url) => this.#browser.history.replaceState({ depth: this.#depth() }, "", url));
  }

  /** Undoes the last step of this visit; on a page opened by a link: widens it instead. */
  stepBack(): void {
    if (this.#depth() > 0) {
      this.#browser.history.back();
    } else if (this.#address.range.kind === "between") {
      this.go({ range: DEFAULT_ADDRESS.range });
    } else if (this.#address.filters.length > 0) {
      this.go({ filters: this.#address.filters.slice(0, -1) });
    }
  }

  /** Shows what became of an event, or asks for its id. One step, however many are looked at before it is closed. */
  explain(eventId: string): void {
    if (this.#address.explain === null) this.go({ explain: eventId });
    else this.adjust({ explain: eventId });
  }

  closeExplained(): void {
    if (this.#address.explain === null) return;
    if (this.#depth() > 0) this.#browser.history.back();
    else this.adjust({ explain: null });
  }

  #set(change: Partial<Address>, write: (url: string) => void): void {
    const next = { ...this.#address, ...change };
    if (formatAddress(next) === formatAddress(this.#address)) return;
    this.#address = next;
    write(this.#browser.location.pathname + formatAddress(next));
    this.#tell();
  }

  #depth(): number {
    const state: unknown = this.#browser.history.state;
    const depth = typeof state === "object" && state !== null && "depth" in state ? state.depth : 0;
    return typeof depth === "number" ? depth : 0;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
