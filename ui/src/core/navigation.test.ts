import { expect, test } from "vitest";
import { Navigation } from "./navigation";

/** A browser's history, without a browser. */
function browserAt(search: string) {
  const entries: { url: string; state: unknown }[] = [{ url: `/${search}`, state: null }];
  const listeners: (() => void)[] = [];
  let at = 0;
  const entry = () => entries[at] ?? { url: "/", state: null };
  return {
    entries,
    location: {
      get pathname() { return "/"; },
      get search() { return entry().url.slice(1); },
    },
    history: {
      get state() { return entry().state; },
      pushState(state: unknown, _: string, url: string) { entries.splice(at + 1); entries.push({ url, state }); at += 1; },
      replaceState(state: unknown, _: string, url: string) { entries[at] = { url, state }; },
      back() { at = Math.max(0, at - 1); for (const listener of listeners) listener(); },
    },
    addEventListener(_: "popstate", listener: () => void) { listeners.push(listener); },
  };
}

const US = { dimension: "country", value: "US" };

test("a filter is a step, and the back button undoes it", () => {
  const browser = browserAt("");
  const navigation = new Navigation(browser as never);
  navigation.go({ filters: [US] });
  expect(browser.location.search).toBe("?filter=country:US");
  browser.history.back();
  expect(navigation.current().filters).toEqual([]);
});

test("switching live updates is not a step", () => {
  const browser = browserAt("");
  new Navigation(browser as never).adjust({ live: false });
  expect(browser.entries).toHaveLength(1);
  expect(browser.location.search).toBe("?live=off");
});

test("looking at events is one step, however many, and closing undoes it", () => {
  const browser = browserAt("?range=7d");
  const navigation = new Navigation(browser as never);
  navigation.explain("");
  navigation.explain("a/b");
  expect([browser.entries.length, browser.location.search]).toEqual([2, "?range=7d&explain=a/b"]);
  navigation.closeExplained();
  navigation.closeExplained();
  expect([browser.location.search, navigation.current().explain]).toEqual(["?range=7d", null]);
});

test("an event that was opened by a link is closed without leaving the page", () => {
  const browser = browserAt("?explain=e");
  const navigation = new Navigation(browser as never);
  navigation.closeExplained();
  expect([browser.entries.length, browser.location.search]).toEqual([1, ""]);
});

test("going where one already is adds no step", () => {
  const browser = browserAt("?range=7d");
  new Navigation(browser as never).go({ range: { kind: "last", last: "7d" } });
  expect(browser.entries).toHaveLength(1);
});

test("stepping back undoes the last step of this visit", () => {
  const browser = browserAt("?range=7d");
  const navigation = new Navigation(browser as never);
  navigation.go({ range: { kind: "between", fromMs: 0, toMs: 60_000 } });
  navigation.stepBack();
  expect(navigation.current().range).toEqual({ kind: "last", last: "7d" });
});

test("stepping back on a page opened by a link never leaves the page: it widens it", () => {
  const browser = browserAt("?from=1970-01-01T00:00:00Z&to=1970-01-01T00:01:00Z&filter=country:US");
  const navigation = new Navigation(browser as never);
  navigation.stepBack();
  expect(navigation.current().range).toEqual({ kind: "last", last: "24h" });
  expect(navigation.current().filters).toEqual([US]);
});

test("listeners hear of changes and of the back button, until they leave", () => {
  const browser = browserAt("");
  const navigation = new Navigation(browser as never);
  let heard = 0;
  const leave = navigation.subscribe(() => { heard += 1; });
  navigation.go({ metric: "events" });
  browser.history.back();
  leave();
  navigation.go({ metric: "requests" });
  expect(heard).toBe(2);
});
