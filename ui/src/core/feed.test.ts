import { expect, test } from "vitest";
import { Feed } from "./feed";

const event = (name: string) => ({ event: name, timestampMs: 0, userId: null, properties: {} });

test("the newest event is first", () => {
  const feed = new Feed(() => 0);
  feed.add([event("a"), event("b")]);
  expect(feed.current().map((each) => each.event)).toEqual(["b", "a"]);
});

test("the first event is shown at once, a burst a few times a second, and nothing of it is lost", () => {
  let wake = (): void => expect.unreachable("no timer was set");
  let shown = 0;
  const feed = new Feed((run) => { wake = run; });
  feed.subscribe(() => { shown += 1; });
  for (let count = 0; count < 50; count += 1) feed.add([event(String(count))]);
  expect(shown).toBe(1);
  wake();
  expect(shown).toBe(2);
  expect(feed.current()[0]?.event).toBe("49");
});

test("old events are forgotten", () => {
  const feed = new Feed((run) => { run(); });
  for (let count = 0; count < 500; count += 1) feed.add([event("x")]);
  expect(feed.current().length).toBeLessThanOrEqual(60);
});
