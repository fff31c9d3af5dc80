import { expect, test } from "vitest";
import { countOf, countsPath, lettersPath, readCount, readLetter } from "./letters";
import { DAY_MS } from "./ranges";

const NOON = Date.parse("2026-06-03T12:00:00Z");
const LETTER = { received_at: "2026-06-03T12:00:00.5Z", reason: "missing_event", message: "it has no name", event_id: "sg-1-2", original: "{}", partition: 2, offset: 7, replay_as: "own", counted: null };

test("the last so long is asked from its start, without an end", () => {
  expect(countsPath({ kind: "last", last: "24h" }, NOON)).toBe("/dead-letter/counts?from=2026-06-02T12:00:00Z");
});

test("a span is asked as it is", () => {
  expect(countsPath({ kind: "between", fromMs: NOON - DAY_MS, toMs: NOON }, 0)).toBe("/dead-letter/counts?from=2026-06-02T12:00:00Z&to=2026-06-03T12:00:00Z");
});

test("letters are asked of all reasons or of one", () => {
  const range = { kind: "last", last: "1h" } as const;
  expect(lettersPath(range, null, NOON)).toBe("/dead-letter?from=2026-06-03T11:00:00Z&limit=20");
  expect(lettersPath(range, "a&b", NOON)).toBe("/dead-letter?from=2026-06-03T11:00:00Z&limit=20&reason=a%26b");
});

test("a letter is known by the id that its sender gave it, else by that of the record", () => {
  expect(readLetter(LETTER)).toEqual({ key: "2/7", receivedMs: NOON + 500, reason: "missing_event", message: "it has no name", eventId: "own", original: "{}" });
  expect(readLetter({ ...LETTER, replay_as: null }).eventId).toBe("sg-1-2");
});

test("counts add up", () => {
  const counts = [["a", 2], ["b", 3]].map(([reason, count]) => readCount({ reason, count, newest_at: "2026-06-03T12:00:00Z" }));
  expect(countOf(counts)).toBe(5);
  expect(countOf([])).toBe(0);
});
