import { beforeEach, expect, test } from "vitest";
import { LiveConnection, type Source, type Update, readUpdate } from "./live";

/** One attempt to connect; the test plays the server. */
class FakeSource implements Source {
  closed = false;
  readonly #listeners = new Map<string, (message: { data?: unknown }) => void>();
  addEventListener(type: string, listener: (message: { data?: unknown }) => void): void { this.#listeners.set(type, listener); }
  close(): void { this.closed = true; }
  say(type: string, data: unknown = { freshness: { complete_up_to: "2026-01-01T12:00:00Z", lag_ms: 5 } }): void {
    this.#listeners.get(type)?.({ data: typeof data === "string" ? data : JSON.stringify(data) });
  }
}

let nowMs = 0;
let timers: { at: number; run: () => void }[] = [];
let sources: FakeSource[] = [];
let live: LiveConnection;

function pass(ms: number): void {
  const until = nowMs + ms;
  for (;;) {
    const [next] = timers.filter(({ at }) => at <= until).toSorted((one, other) => one.at - other.at);
    if (!next) break;
    timers = timers.filter((timer) => timer !== next);
    nowMs = next.at;
    next.run();
  }
  nowMs = until;
}

const newest = (): FakeSource => sources.at(-1) ?? expect.unreachable("nothing was opened");

beforeEach(() => {
  [nowMs, timers, sources] = [0, [], []];
  live = new LiveConnection({
    open: () => { const source = new FakeSource(); sources.push(source); return source; },
    now: () => nowMs,
    random: () => 1,
    setTimeout: (run, ms) => { const timer = { at: nowMs + ms, run }; timers.push(timer); return timer; },
    clearTimeout: (timer) => { timers = timers.filter((each) => each !== timer); },
  });
});

test("it is connecting until the server has said hello, then live", () => {
  live.start();
  expect(live.current().status).toBe("connecting");
  newest().say("hello", { freshness: { complete_up_to: "2026-01-01T12:00:00Z", lag_ms: 0 }, version: "0.1.0" });
  expect(live.current()).toMatchObject({ status: "live", version: "0.1.0", freshness: { completeUpToMs: 1_767_268_800_000, lagMs: 0 } });
});

test("starting twice opens one connection", () => {
  live.start();
  live.start();
  expect(sources).toHaveLength(1);
});

test("a lost connection is tried again with growing pauses", () => {
  live.start();
  const opened: number[] = [];
  for (let attempt = 0; attempt < 5; attempt += 1) {
    newest().say("error");
    const count = sources.length;
    while (sources.length === count) pass(100);
    opened.push(nowMs);
  }
  const pauses = opened.map((at, index) => at - (opened[index - 1] ?? 0));
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
});

test("it reconnects, then says so once, so that what was missed is asked for", () => {
  let returns = 0;
  live.onReturn(() => { returns += 1; });
  live.start();
  newest().say("hello");
  expect(returns).toBe(0);
  newest().say("error");
  expect(live.current().status).toBe("reconnecting");
  pass(500);
  newest().say("hello");
  expect(live.current().status).toBe("live");
  expect(returns).toBe(1);
});

test("a page that was opened while the server was away hears of its return", () => {
  let returns = 0;
  live.onReturn(() => { returns += 1; });
  live.start();
  newest().say("error");
  pass(500);
  newest().say("hello");
  expect(returns).toBe(1);
});

test("silence is a lost connection: the server would have said tick", () => {
  live.start();
  newest().say("hello");
  pass(4_000);
  newest().say("tick");
  pass(4_900);
  expect(live.current().status).toBe("live");
  pass(200);
  expect(live.current().status).toBe("reconnecting");
  expect(sources[0]?.closed).toBe(true);
});

test("after many failures it is offline, and goes on trying", () => {
  live.start();
  for (let attempt = 0; attempt < 8; attempt += 1) {
    newest().say("error");
    pass(10_000);
  }
  newest().say("error");
  expect(live.current().status).toBe("offline");
  const tried = sources.length;
  pass(10_000);
  expect(sources.length).toBeGreaterThan(tried);
});

test("the network's return does not wait for the pause to end", () => {
  live.start();
  newest().say("error");
  live.retryNow();
  expect(sources).toHaveLength(2);
  pass(60_000);
  expect(sources.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(1);
});

test("what a closed connection still says is not heard", () => {
  const updates: Update[] = [];
  live.onUpdate((update) => updates.push(update));
  live.start();
  const old = newest();
  live.pause();
  old.say("update");
  old.say("error");
  expect(updates).toEqual([]);
  expect(live.current().status).toBe("paused");
});

test("a pause means that something may have been missed", () => {
  let returns = 0;
  live.onReturn(() => { returns += 1; });
  live.start();
  newest().say("hello");
  live.pause();
  live.start();
  newest().say("hello");
  expect(returns).toBe(1);
});

test("an update is read with its metrics, its span and its sample", () => {
  const update = readUpdate({
    freshness: { complete_up_to: "2026-01-01T12:00:00Z", lag_ms: 0 }, events_count: 120, metrics: { page_views: 80 },
    from: "2026-01-01T11:59:00Z", to: "2026-01-01T12:01:00Z",
    sample: [{ event: "page_view", timestamp: "2026-01-01T12:00:00Z", user_id: "123", properties: { page: "/" } }],
  });
  expect([...update.metrics]).toEqual(["page_views"]);
  expect(update.span).toEqual({ fromMs: 1_767_268_740_000, toMs: 1_767_268_860_000 });
  expect(update.sample).toEqual([{ event: "page_view", timestampMs: 1_767_268_800_000, userId: "123", properties: { page: "/" } }]);
});

test("a message that is not JSON is no reason to stop", () => {
  live.start();
  newest().say("hello");
  newest().say("update", "{");
  newest().say("update", "[]");
  expect(live.current().status).toBe("live");
});
