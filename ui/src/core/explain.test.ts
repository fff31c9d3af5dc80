import { expect, test } from "vitest";
import { pairs, readOccurrence, sentencesOf } from "./explain";

const PLACE = { received_at: "2026-06-03T12:03:00Z", partition: 3, offset: 1_234 };
const COUNTED = {
  status: "counted", ...PLACE, stored: true, event: "page_view", timestamp: "2026-06-03T12:02:50Z", user_id: "u", anonymous_id: null,
  properties: { page: "/" }, enriched: { plan: "pro" },
  counted_in: [{ metric: "page_views", start: "2026-06-03T12:02:00Z", end: "2026-06-03T12:03:00Z", dimensions: { country: "US", entry_page: "(other)" }, value: 1 }],
  session: { opened_at: "2026-06-03T12:00:00Z", started_at: "2026-06-03T12:00:00Z", ended_at: "2026-06-03T12:02:14Z", events: 3, page_views: 1, bounced: false, open: false },
};

const told = (item: Record<string, unknown>) => sentencesOf(readOccurrence(item), "UTC");

test("a counted event is told from its acceptance to its session", () => {
  expect(told(COUNTED)).toEqual([
    "The event page_view of the user u was accepted on 3 Jun 2026, 12:03:00, at offset 1,234 of partition 3. Its own time is 3 Jun 2026, 12:02:50.",
    "Enriched from the user's profile with plan pro.",
    "In a session that began at 12:00:00 and lasted 2 m 14 s: 3 events, 1 page view.",
    "Counted in 1 window:",
  ]);
});

test("its windows are read with what they are divided by", () => {
  const one = readOccurrence(COUNTED);
  const [pane] = one.status === "counted" ? one.panes : [];
  expect(pane).toEqual({ metric: "page_views", startMs: Date.parse("2026-06-03T12:02:00Z"), endMs: Date.parse("2026-06-03T12:03:00Z"), dimensions: { country: "US", entry_page: "(other)" }, value: 1 });
  expect(pairs(pane?.dimensions ?? {})).toBe("country US, entry page (other)");
});

test("an open session is not said to have lasted", () => {
  expect(told({ ...COUNTED, session: { ...COUNTED.session, events: 1, bounced: true, open: true } })[2]).toBe("In a session that began at 12:00:00 and is still open: 1 event, 1 page view, a bounce so far.");
});

test("what an event does not have is said", () => {
  const sentences = told({ ...COUNTED, user_id: null, timestamp: PLACE.received_at, enriched: {}, counted_in: [], session: null });
  expect(sentences).toEqual([
    "The event page_view was accepted on 3 Jun 2026, 12:03:00, at offset 1,234 of partition 3.",
    "Not enriched: no profile added anything.",
    "In no session: the event has no user.",
    "Counted in no window: no metric of today's takes such an event.",
  ]);
  expect(told({ ...COUNTED, session: null })[2]).toBe("Its session is not known, or no longer.");
  expect(told({ ...COUNTED, user_id: null, anonymous_id: "v" })[0]).toContain("of the anonymous visitor v was");
});

test("a duplicate names what it repeats, where that is still there", () => {
  const first = { received_at: "2026-06-03T12:01:00Z", partition: 3, offset: 9 };
  expect(told({ status: "duplicate", ...PLACE, duplicate_of: first })[1]).toBe("The same id was counted before: accepted on 3 Jun 2026, 12:01:00, at offset 9 of partition 3.");
  expect(told({ status: "duplicate", ...PLACE, duplicate_of: null })[1]).toContain("older than retention");
});

test("what was set aside says why", () => {
  const aside = { ...PLACE, event_id: "e", original: "{}" };
  expect(told({ ...aside, status: "too_late", reason: "too_late", message: "it came 2 days after its time" })[1]).toBe("It came 2 days after its time.");
  expect(told({ ...aside, status: "rejected", reason: "missing_event", message: "the event has no name" })[1]).toBe("The reason is missing event: the event has no name.");
});

test("a status that is not known yet is a rejection with its reason, not an error", () => {
  expect(readOccurrence({ ...PLACE, status: "quarantined", reason: "odd", message: "m", original: "" }).status).toBe("rejected");
});
