import { expect, test } from "vitest";
import { ids, msOf } from "./ids";

const MS = Date.UTC(2026, 0, 1);

test("an id is a UUID of version 7 that says when it was made", () => {
  const id = ids(() => MS, () => 0xffffffff)();
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(msOf(id)).toBe(MS);
});

test("the example of RFC 9562 comes out of its parts", () => {
  const parts = [0x4c3, 0x18c4, 0xdc0c0c07, 0x398f];
  const id = ids(() => 0x017f22e279b0, () => parts.shift() ?? 0)();
  expect(id).toBe("017f22e2-79b0-74c3-98c4-dc0c0c07398f");
});

test("ids are in the order they were made in, within a millisecond and when the clock goes back", () => {
  let nowMs = MS;
  const next = ids(() => nowMs, () => Math.floor(Math.random() * 2 ** 32));
  const made = Array.from({ length: 10_000 }, next);
  nowMs -= 60_000;
  made.push(...Array.from({ length: 100 }, next));
  expect(made).toEqual(made.toSorted());
  expect(new Set(made).size).toBe(made.length);
});
