import { beforeEach, expect, test } from "vitest";
import { Refresher } from "./refresher";

let nowMs = 0;
let timers: { at: number; run: () => void }[] = [];
let runs: { at: number; changes: readonly string[]; end: () => void }[] = [];
let refresher: Refresher<string>;

const settle = (): Promise<void> => new Promise((resolve) => { setTimeout(resolve); });

async function pass(ms: number): Promise<void> {
  nowMs += ms;
  for (const timer of timers.filter(({ at }) => at <= nowMs)) {
    timers = timers.filter((each) => each !== timer);
    timer.run();
  }
  await settle();
}

beforeEach(() => {
  [nowMs, timers, runs] = [0, [], []];
  refresher = new Refresher<string>({
    run: (changes) => new Promise<void>((end) => { runs.push({ at: nowMs, changes, end }); }),
    now: () => nowMs,
    setTimeout: (run, ms) => timers.push({ at: nowMs + ms, run }),
  });
});

test("the first change is refreshed at once", () => {
  refresher.add("a");
  expect(runs).toHaveLength(1);
});

test("changes that come together are one refresh", async () => {
  refresher.add("a");
  runs[0]?.end();
  await settle();
  for (const change of ["b", "c", "d"]) refresher.add(change);
  await pass(500);
  expect(runs.map(({ changes }) => changes)).toEqual([["a"], ["b", "c", "d"]]);
});

test("there are at most two refreshes a second, however many changes come", async () => {
  for (let tick = 0; tick < 100; tick += 1) {
    refresher.add("x");
    runs.at(-1)?.end();
    await pass(100);
  }
  expect(runs.length).toBeGreaterThan(15);
  expect(runs.length).toBeLessThanOrEqual(21);
});

test("a refresh waits for the one before it", async () => {
  refresher.add("a");
  refresher.add("b");
  await pass(5_000);
  expect(runs).toHaveLength(1);
  runs[0]?.end();
  await settle();
  await pass(10_000);
  expect(runs).toHaveLength(2);
});

test("a slow store is asked less often", async () => {
  refresher.add("a");
  await pass(1_000);
  runs[0]?.end();
  await settle();
  refresher.add("b");
  await pass(1_900);
  expect(runs).toHaveLength(1);
  await pass(200);
  expect(runs).toHaveLength(2);
});

test("while held nothing runs, and nothing is lost", async () => {
  refresher.hold(true);
  refresher.add("a");
  await pass(5_000);
  expect(runs).toHaveLength(0);
  refresher.hold(false);
  expect(runs[0]?.changes).toEqual(["a"]);
});
