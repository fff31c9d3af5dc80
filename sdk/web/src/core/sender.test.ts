import { expect, test } from "vitest";
import { names, place, settled, type Sent } from "./fixture";
import { memory } from "./memory";
import type { Answer } from "./seams";

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const RANDOM_MAX = 2 ** 32 - 1;

function refused(status: number, body: unknown = undefined, retryAfterS = 0): Answer {
  return { status, retryAfterS, body };
}

function ids(requests: readonly Sent[][]): unknown[] {
  return requests.flat().map((event) => event["event_id"]);
}

test("events are sent 10 seconds after the first of them, in one request", async () => {
  const { client, clock, requests } = place();
  client.track("a");
  await clock.pass(9_999);
  client.track("b");
  expect(requests).toEqual([]);
  await clock.pass(1);
  expect(requests.map(names)).toEqual([["a", "b"]]);
});

test("a hundred events are sent at once, in requests of a hundred at most", async () => {
  const { client, requests, waiting } = place();
  for (let number = 0; number < 250; number++) client.track("a");
  await settled();
  expect(requests.map((events) => events.length)).toEqual([100, 100, 50]);
  expect(waiting()).toEqual([]);
});

test("a request is never over what a browser sends as a page goes", async () => {
  const bodies: string[] = [];
  const { client } = place({
    transport: async (body) => {
      bodies.push(body);
      return { status: 202, retryAfterS: 0, body: { status: "accepted" } };
    },
  });
  for (let number = 0; number < 20; number++) client.track("a", { text: "ü".repeat(5_000) });
  await client.flush();
  expect(bodies.flatMap((body) => JSON.parse(body) as Sent[]).length).toBe(20);
  for (const body of bodies) expect(new TextEncoder().encode(body).length).toBeLessThan(64 * 1024);
});

test("what is not answered is sent again under the same ids, and only once more", async () => {
  const { client, clock, requests, answers, waiting } = place();
  answers.push(null, refused(503));
  client.track("a");
  await client.flush();
  expect(waiting().length).toBe(1);
  await clock.pass(60 * SECOND_MS);
  expect(requests.length).toBe(3);
  expect(new Set(ids(requests)).size).toBe(1);
  expect(waiting()).toEqual([]);
  await clock.pass(HOUR_MS);
  expect(requests.length).toBe(3);
});

test("pauses grow from up to two seconds to up to five minutes, anywhere in between", async () => {
  for (const [random, least, most] of [[2 ** 22, 1, 293], [RANDOM_MAX, 1_999, 300_000]] as const) {
    const { client, clock, answers } = place({ random: () => random });
    client.track("a");
    const pauses: number[] = [];
    for (let failure = 0; failure < 12; failure++) {
      answers.push(null);
      await clock.pass(clock.nextMs() ?? 0);
      pauses.push(Math.round(clock.nextMs() ?? -1));
    }
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...pauses)).toBe(most);
    expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
  }
});

test("more events during a pause do not shorten it", async () => {
  const { client, requests, answers } = place();
  answers.push(null);
  client.track("a");
  await client.flush();
  for (let number = 0; number < 300; number++) client.track("b");
  await settled();
  expect(requests.length).toBe(1);
});

test("before Retry-After nothing is sent, by whatever occasion", async () => {
  const { client, clock, requests, answers, hide, wake } = place();
  answers.push(refused(429, undefined, 60));
  client.track("a");
  await client.flush();
  hide();
  wake();
  await client.flush();
  await clock.pass(59_999);
  expect(requests.length).toBe(1);
  await clock.pass(10 * SECOND_MS);
  expect(requests.length).toBe(2);
});

test("a Retry-After of years is one of an hour", async () => {
  const { client, clock, answers, requests } = place();
  answers.push(refused(503, undefined, 1e9));
  client.track("a");
  await client.flush();
  await clock.pass(HOUR_MS + 10 * SECOND_MS);
  expect(requests.length).toBe(2);
});

test("when the network is back it is tried at once", async () => {
  const { client, requests, answers, wake } = place();
  answers.push(null);
  client.track("a");
  await client.flush();
  wake();
  await settled();
  expect(requests.length).toBe(2);
});

test("items that the server rejects are dropped with its reason and stop nothing", async () => {
  const { client, requests, answers, waiting, clock } = place();
  const rejected = [
    { index: 0, code: "invalid_timestamp", message: "…" },
    { index: 2, code: "string_too_long", message: "…" },
    { index: 3, code: "string_too_long", message: "…" },
  ];
  answers.push({ status: 202, retryAfterS: 0, body: { status: "partial", count: 2, rejected } });
  for (const name of "abcde") client.track(name);
  await client.flush();
  await clock.pass(60 * SECOND_MS);
  expect(requests[1]).toMatchObject([
    { event: "sdk_dropped", reason: "invalid_timestamp", count: 1 },
    { event: "sdk_dropped", reason: "string_too_long", count: 2 },
  ]);
  expect(waiting()).toEqual([]);
});

test("a batch of which every item is rejected stops nothing, and a rejected report is not reported", async () => {
  const { client, requests, answers, waiting, clock } = place();
  const all = { status: "rejected", rejected: [{ index: 0, code: "missing_event" }], error: { code: "missing_event" } };
  answers.push(refused(400, all), refused(400, all));
  client.track("");
  await client.flush();
  await clock.pass(HOUR_MS);
  expect(requests.map(names)).toEqual([[""], ["sdk_dropped"]]);
  expect(waiting()).toEqual([]);
});

test.each([400, 413, 422])("an event that makes the server refuse whole requests with %i is found and dropped alone", async (status) => {
  const accepted: Sent[] = [];
  let requests = 0;
  const { client, clock, waiting } = place({
    transport: async (body) => {
      requests++;
      const events = JSON.parse(body) as Sent[];
      if (events.some(({ event }) => event === "poison")) return refused(status, { error: { code: "malformed_body" } });
      accepted.push(...events);
      return { status: 202, retryAfterS: 0, body: { status: "accepted" } };
    },
  });
  for (let number = 0; number < 99; number++) client.track(number === 40 ? "poison" : "a");
  await clock.pass(60 * SECOND_MS);
  expect(waiting()).toEqual([]);
  expect(accepted.filter(({ event }) => event === "a").length).toBe(98);
  expect(accepted.filter(({ event }) => event === "sdk_dropped")).toMatchObject([{ reason: "malformed_body", count: 1 }]);
  expect(requests).toBeLessThan(30);
});

test.each([401, 403, 404, 408, 421, 429, 500, 502])("an answer of %i keeps the events for later", async (status) => {
  const { client, answers, waiting, requests, clock } = place();
  answers.push(refused(status, { error: { code: "x" } }));
  client.track("a");
  await client.flush();
  expect(names(waiting())).toEqual(["a"]);
  await clock.pass(60 * SECOND_MS);
  expect(requests.length).toBe(2);
});

test("a page that answers 200 in the server's place has accepted nothing", async () => {
  const { client, answers, waiting } = place();
  for (const body of [undefined, null, 7, "<html>", {}]) {
    answers.push({ status: 200, retryAfterS: 0, body });
    client.track("a");
    await client.flush();
  }
  expect(waiting().length).toBe(5);
});

test("as the page goes everything is sent that is not under way", async () => {
  const answered: ((answer: Answer) => void)[] = [];
  const requests: Sent[][] = [];
  const { client, hide, waiting } = place({
    transport: (body) => {
      requests.push(JSON.parse(body) as Sent[]);
      return new Promise((resolve) => void answered.push(resolve));
    },
  });
  client.track("a");
  void client.flush();
  await settled();
  client.track("b");
  hide();
  hide();
  await settled();
  expect(requests.map(names)).toEqual([["a"], ["b"]]);
  expect(waiting().length).toBe(2);
  for (const answer of answered) answer({ status: 202, retryAfterS: 0, body: { status: "accepted" } });
  await settled();
  expect(waiting()).toEqual([]);
});

test("what was sent as the page went, and never answered, is sent again within a day and given up after it", async () => {
  for (const [passed, wanted] of [[23 * HOUR_MS, ["a"]], [25 * HOUR_MS, ["sdk_dropped"]]] as const) {
    const first = place({ transport: () => new Promise(() => {}) });
    first.client.track("a");
    first.hide();
    await first.clock.pass(passed);
    const second = place({ storage: first.storage, clock: first.clock });
    await second.client.flush();
    expect(names(second.requests.flat())).toEqual(wanted);
    if (passed > 24 * HOUR_MS) expect(second.requests.flat()[0]).toMatchObject({ reason: "unconfirmed", count: 1 });
  }
});

test("what was never sent is sent however old it is", async () => {
  const first = place();
  first.isOffline = true;
  first.client.track("a");
  first.hide();
  await settled();
  expect(first.requests).toEqual([]);
  const failed = place({ storage: first.storage });
  failed.answers.push(null);
  failed.hide();
  await settled();
  const later = place({ storage: first.storage, clock: failed.clock });
  later.answers.push(null, null);
  await later.clock.pass(100 * HOUR_MS);
  expect(names(later.requests.flat()).every((name) => name === "a")).toBe(true);
  expect(later.waiting()).toEqual([]);
});

test("events after the first answer have the server's time where the clock here is wrong, also after a restart", async () => {
  for (const [aheadMs, correctedMs] of [[3 * HOUR_MS, 3 * HOUR_MS], [-3 * HOUR_MS, -3 * HOUR_MS], [59_000, 0]] as const) {
    const { client, clock, answers, waiting, storage } = place();
    answers.push({ status: 202, retryAfterS: 0, serverMs: clock.now() - aheadMs, body: { status: "accepted" } });
    client.track("a");
    await client.flush();
    client.track("b");
    expect(waiting()).toMatchObject([{ event: "b", timestamp: clock.now() - correctedMs }]);
    await clock.pass(1);
    const restarted = place({ storage, clock });
    restarted.client.track("c");
    expect(waiting()[1]).toMatchObject({ event: "c", timestamp: clock.now() - correctedMs });
    answers.push({ status: 202, retryAfterS: 0, serverMs: clock.now(), body: { status: "accepted" } });
    await client.flush();
    client.track("d");
    expect(waiting().at(-1)).toMatchObject({ timestamp: clock.now() });
  }
});

test("an answer that came after hours of sleep does not change the time", async () => {
  const answered: ((answer: Answer) => void)[] = [];
  const { client, clock, waiting } = place({ transport: () => new Promise((resolve) => void answered.push(resolve)) });
  client.track("a");
  void client.flush();
  await settled();
  const serverMs = clock.now();
  await clock.pass(3 * HOUR_MS);
  answered[0]?.({ status: 202, retryAfterS: 0, serverMs, body: { status: "accepted" } });
  await settled();
  client.track("b");
  expect(waiting()).toMatchObject([{ event: "b", timestamp: clock.now() }]);
});

test("two tabs take turns, and each event is sent by one of them", async () => {
  let last: Promise<void> = Promise.resolve();
  const alone = (task: () => Promise<void>): Promise<void> => (last = last.then(task));
  const storage = memory();
  let number = 0;
  const random = (): number => number++;
  const tabs = [place({ storage, alone, random }), place({ storage, alone, random })];
  for (let turn = 0; turn < 30; turn++) for (const [index, { client }] of tabs.entries()) client.track(`tab ${index}`);
  await Promise.all(tabs.map(({ client }) => client.flush()));
  const sent = ids(tabs.flatMap(({ requests }) => requests));
  expect(sent.length).toBe(60);
  expect(new Set(sent).size).toBe(60);
});

test("tabs that can't take turns send the same events under the same ids", async () => {
  const storage = memory();
  const tabs = [place({ storage }), place({ storage })];
  tabs[0]?.client.track("a");
  await Promise.all(tabs.map(({ client }) => client.flush()));
  expect(new Set(ids(tabs.flatMap(({ requests }) => requests))).size).toBe(1);
});
