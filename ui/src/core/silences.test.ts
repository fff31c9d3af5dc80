import { expect, test } from "vitest";
import { Client } from "./api";
import { type Notification, type Receiver, healthOf, matcherOf, matchesAll, notEnded, readSilences } from "./silences";

const SILENCE = { id: "5b", state: "active", matchers: ['alertname="TrafficDrop"'], starts_at: "2026-01-01T12:00:00Z", ends_at: "2026-01-01T14:00:00Z", author: "Ann", comment: "known", updated_at: "2026-01-01T12:00:00Z" };
const SENT: Notification = { id: "7", receiver: "oncall", group: "oncall:{}", status: "firing", outcome: "sent", madeMs: 0, tries: 1, nextTryMs: null, answer: "200", firing: 1, resolved: 0 };

function receiver(last: Notification | null, waiting = 0): Receiver {
  return { name: "oncall", kind: "webhook", address: "http://x", matchers: [], waiting, oldestWaitingMs: null, last };
}

test("a silence is sent with its matchers, author, comment and end", async () => {
  const sent: unknown[] = [];
  const client = new Client(async (url, init) => {
    sent.push([url, init.method, JSON.parse(init.body ?? "null")]);
    return Response.json(SILENCE, { status: 201 });
  });
  const wish = { matchers: [matcherOf("alertname", "TrafficDrop")], ends_at: "2026-01-01T14:00:00Z", author: "Ann", comment: "known" };
  expect(await client.silence(wish)).toMatchObject({ id: "5b", endsMs: 1_767_276_000_000 });
  expect(sent).toEqual([["/silences", "POST", wish]]);
});

test("a matcher keeps quotes, backslashes and line breaks of a value", () => {
  expect(matcherOf("page", 'a"b\\c\nd')).toBe('page="a\\"b\\\\c\\nd"');
});

test("a label that was left out makes a silence cover more", () => {
  const labels = { alertname: "r", country: "DE" };
  expect(matchesAll({ alertname: "r" }, labels)).toBe(true);
  expect(matchesAll({ alertname: "r", country: "US" }, labels)).toBe(false);
  expect(matchesAll({ device: "mobile" }, labels)).toBe(false);
});

test("silences that ended are left out, and the one that ends first comes first", () => {
  const body = { silences: [{ ...SILENCE, id: "late", ends_at: "2026-01-02T00:00:00Z" }, { ...SILENCE, id: "gone", state: "expired" }, SILENCE], maintenance: [] };
  expect(notEnded(readSilences(body).silences).map(({ id }) => id)).toEqual(["5b", "late"]);
});

test("a maintenance window says when it is", () => {
  const window = { name: "night", is_open: true, matchers: ['team="shop"'], weekdays: ["sat", "sun"], from: "02:00", to: "04:00", tz: "Europe/Berlin", comment: "" };
  expect(readSilences({ silences: [], maintenance: [window] }).maintenance).toEqual([{ name: "night", isOpen: true, matchers: ['team="shop"'], when: "sat, sun 02:00–04:00 Europe/Berlin", comment: "" }]);
});

test("a receiver fails where it did not take what was tried, not where something waits for its turn", () => {
  expect(healthOf(receiver(null))).toBe("unused");
  expect(healthOf(receiver(SENT))).toBe("working");
  expect(healthOf(receiver(SENT, 1))).toBe("waiting");
  expect(healthOf(receiver({ ...SENT, outcome: "waiting", tries: 2 }, 1))).toBe("failing");
  expect(healthOf(receiver({ ...SENT, outcome: "waiting", tries: 0 }, 1))).toBe("waiting");
  expect(healthOf(receiver({ ...SENT, outcome: "refused" }))).toBe("failing");
});
