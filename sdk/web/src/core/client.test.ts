import { expect, test } from "vitest";
import { ACCEPTED, names, place, PREFIX, settled, START_MS } from "./fixture";
import { memory } from "./memory";

const MINUTE_MS = 60_000;

test("an event has a name, an id, a time, a person and a session, and what it is about", async () => {
  const { client, requests } = place({ context: () => ({ page: "/", locale: "de" }) });
  client.track("purchase", { price: 9.5, page: "/cart" });
  await client.flush();
  expect(requests).toEqual([
    [
      {
        event: "purchase",
        event_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        timestamp: START_MS,
        anonymous_id: expect.any(String),
        session_id: expect.any(String),
        price: 9.5,
        page: "/cart",
        locale: "de",
      },
    ],
  ]);
});

test("a property can't be taken for what the client says itself", () => {
  const { client, waiting } = place();
  client.track("a", { event: "b", event_id: "c", timestamp: 1, anonymous_id: "d", session_id: "e" });
  const [sent] = waiting();
  expect(sent).toMatchObject({ event: "a", timestamp: START_MS });
  expect(sent?.["event_id"]).not.toBe("c");
  expect(sent?.["anonymous_id"]).not.toBe("d");
  expect(sent?.["session_id"]).not.toBe("e");
});

test("the person stays the same after a restart, and is another one after a reset", async () => {
  const first = place();
  first.client.track("a");
  const second = place({ storage: first.storage, clock: first.clock });
  await first.clock.pass(1);
  second.client.track("b");
  second.client.identify("ada", { plan: "pro" });
  second.client.reset();
  second.client.track("c");
  const [a, b, identify, c] = second.waiting();
  expect(b?.["anonymous_id"]).toBe(a?.["anonymous_id"]);
  expect(b?.["session_id"]).toBe(a?.["session_id"]);
  expect(identify).toMatchObject({ event: "identify", user_id: "ada", traits: { plan: "pro" } });
  expect(identify?.["anonymous_id"]).toBe(a?.["anonymous_id"]);
  expect(c?.["anonymous_id"]).not.toBe(a?.["anonymous_id"]);
  expect(c?.["session_id"]).not.toBe(a?.["session_id"]);
  expect(c).not.toHaveProperty("user_id");
});

test("a session ends after 30 minutes without an event, and no sooner", async () => {
  const { client, clock, waiting } = place({ flushMs: 1e9 });
  client.track("a");
  await clock.pass(30 * MINUTE_MS - 1);
  client.track("b");
  await clock.pass(30 * MINUTE_MS);
  client.track("c");
  const [a, b, c] = waiting().map((event) => event["session_id"]);
  expect(b).toBe(a);
  expect(c).not.toBe(a);
});

test("before the answer to the question of consent nothing is stored or sent", async () => {
  const { client, storage, requests, clock, hide } = place({ consent: "pending" });
  client.track("a");
  client.identify("ada");
  hide();
  await client.flush();
  await clock.pass(MINUTE_MS);
  expect(requests).toEqual([]);
  expect(storage.keys()).toEqual([]);
});

test("with consent what waited is sent, with the time it had", async () => {
  const { client, requests, clock, storage } = place({ consent: "pending" });
  client.track("a");
  await clock.pass(MINUTE_MS);
  client.optIn();
  await settled();
  client.track("b");
  await client.flush();
  expect(names(requests.flat())).toEqual(["a", "b"]);
  expect(requests[0]?.[0]?.["timestamp"]).toBe(START_MS);
  expect(requests[0]?.[0]?.["anonymous_id"]).toBe(requests[1]?.[0]?.["anonymous_id"]);
  const later = place({ consent: "pending", storage, clock });
  later.client.track("c");
  await later.client.flush();
  expect(names(later.requests.flat())).toEqual(["c"]);
});

test("consent that another tab was given holds here too", async () => {
  const storage = memory();
  const here = place({ storage, consent: "pending" });
  const there = place({ storage, consent: "pending" });
  here.client.track("a");
  there.client.optIn();
  here.client.track("b");
  await here.client.flush();
  expect(names(here.requests.flat())).toEqual(["a", "b"]);
});

test("what waits here is not lost when the page goes after another tab was given consent", async () => {
  const storage = memory();
  const here = place({ storage, consent: "pending" });
  const there = place({ storage, consent: "pending" });
  here.client.track("a");
  there.client.optIn();
  here.hide();
  await settled();
  expect(names(here.requests.flat())).toEqual(["a"]);
});

test("who opts out is forgotten with all that waits, also by the next page, until opting in", async () => {
  const first = place();
  first.client.identify("ada");
  first.client.optOut();
  first.client.track("b");
  await first.client.flush();
  expect(first.storage.keys()).toEqual([`${PREFIX}consent`]);
  const second = place({ storage: first.storage });
  second.client.track("c");
  second.client.identify("ada");
  await second.client.flush();
  expect(first.requests.concat(second.requests)).toEqual([]);
  expect(second.storage.keys()).toEqual([`${PREFIX}consent`]);
  second.client.optIn();
  second.client.track("d");
  await second.client.flush();
  expect(names(second.requests.flat())).toEqual(["d"]);
  expect(second.requests.flat()[0]).not.toHaveProperty("user_id");
});

test("where it is denied from the start nothing is stored or sent, whatever was chosen before", async () => {
  const { storage, client } = place();
  client.optIn();
  client.track("a");
  const denied = place({ storage, consent: "denied" });
  denied.client.track("b");
  denied.client.optIn();
  denied.hide();
  await denied.client.flush();
  expect(denied.requests).toEqual([]);
  expect(denied.waiting()).toEqual([]);
});

test("what can't be sent is reported with its reason, and throws nothing", async () => {
  const { client, requests } = place();
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  client.track("a", circular);
  client.track("b", { big: 1n });
  client.track("c", { text: "x".repeat(40_000) });
  client.track("d", { toJSON: () => undefined });
  await client.flush();
  const reports = requests.flat().map(({ event, reason, count }) => [event, reason, count]);
  expect(reports).toEqual([
    ["sdk_dropped", "unserializable", 1],
    ["sdk_dropped", "unserializable", 1],
    ["sdk_dropped", "too_large", 1],
    ["sdk_dropped", "unserializable", 1],
  ]);
});

test("a context that throws costs the event, not the program", async () => {
  const { client, requests } = place({
    context: () => {
      throw new Error("the app's own");
    },
  });
  client.track("a");
  await client.flush();
  expect(requests.flat()).toMatchObject([{ event: "sdk_dropped", reason: "unserializable", count: 1 }]);
});

test("a full queue drops the oldest, and what it reports adds up to what is missing", async () => {
  const { client, requests, waiting, storage, answers, clock } = place({ queueBytesMax: 20_000 });
  answers.push(null);
  for (let number = 0; number < 500; number++) client.track("a", { number });
  const bytes = storage.keys().filter((key) => key.includes("event.")).reduce((sum, key) => sum + (storage.get(key)?.length ?? 0), 0);
  expect(bytes).toBeLessThanOrEqual(20_000);
  expect(waiting().at(-1)).toMatchObject({ number: 499 });
  await clock.pass(10 * MINUTE_MS);
  const all = new Map(requests.flat().map((event) => [event["event_id"], event]));
  const sent = [...all.values()].filter(({ event }) => event === "a");
  const dropped = [...all.values()].filter(({ event }) => event === "sdk_dropped");
  expect(dropped.every(({ reason }) => reason === "queue_full")).toBe(true);
  expect(sent.length + dropped.reduce((sum, { count }) => sum + (count as number), 0)).toBe(500);
  expect(waiting()).toEqual([]);
});

test("a queue that can hold nothing still ends", () => {
  const { client, waiting } = place({ queueBytesMax: 10 });
  for (let number = 0; number < 20; number++) client.track("a", { number });
  expect(waiting().length).toBeLessThan(5);
});

test("letters that take several bytes are counted as such", () => {
  const { client, waiting } = place({ queueBytesMax: 20_000 });
  for (let number = 0; number < 100; number++) client.track("a", { text: "日本".repeat(50) });
  const bytes = waiting().reduce((sum, event) => sum + new TextEncoder().encode(JSON.stringify(event)).length, 0);
  expect(bytes).toBeLessThanOrEqual(20_000);
});

test("what waits at the start is sent without a new event", async () => {
  const first = place();
  first.client.track("a");
  const second = place({ storage: first.storage });
  second.answers.push(ACCEPTED);
  await second.clock.pass(10_000);
  expect(names(second.requests.flat())).toEqual(["a"]);
});
