/** What became of an event, in sentences. */
import { lowerWords } from "./names";
import { exactNumber } from "./numbers";
import { type Item, instant, isRecord, list, number, optionalText, text, texts } from "./shapes";
import { clock, durationText, fullTime } from "./times";

/** When a record was received, and where it lies in the log. */
export interface Place {
  readonly receivedMs: number;
  readonly partition: number;
  readonly offset: number;
}

/** A window of a metric that counted the event. */
export interface Pane {
  readonly metric: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly dimensions: Readonly<Record<string, string>>;
  /** What the event added. */
  readonly value: number | null;
}

export interface Session {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly events: number;
  readonly pageViews: number;
  readonly bounced: boolean;
  readonly open: boolean;
}

interface Counted {
  readonly status: "counted";
  readonly place: Place;
  readonly event: string;
  readonly timestampMs: number;
  readonly userId: string | null;
  readonly anonymousId: string | null;
  readonly properties: unknown;
  readonly enriched: Readonly<Record<string, string>>;
  readonly panes: readonly Pane[];
  readonly session: Session | null;
}

interface Duplicate {
  readonly status: "duplicate";
  readonly place: Place;
  /** Null: what it repeats is older than retention. */
  readonly duplicateOf: Place | null;
}

interface SetAside {
  readonly status: "too_late" | "too_far_ahead" | "rejected";
  readonly place: Place;
  readonly reason: string;
  readonly message: string;
  readonly original: string;
}

export type Occurrence = Counted | Duplicate | SetAside;

export function readOccurrence(item: Item): Occurrence {
  const place = readPlace(item);
  const status = text(item, "status");
  if (status === "counted") return readCounted(item, place);
  const repeats = item["duplicate_of"];
  if (status === "duplicate") return { status, place, duplicateOf: isRecord(repeats) ? readPlace(repeats) : null };
  return {
    status: status === "too_late" || status === "too_far_ahead" ? status : "rejected",
    place,
    reason: text(item, "reason"),
    message: text(item, "message"),
    original: text(item, "original"),
  };
}

function readCounted(item: Item, place: Place): Counted {
  const session = item["session"];
  return {
    status: "counted",
    place,
    event: text(item, "event"),
    timestampMs: instant(item, "timestamp"),
    userId: optionalText(item["user_id"]),
    anonymousId: optionalText(item["anonymous_id"]),
    properties: item["properties"],
    enriched: texts(item, "enriched"),
    panes: list(item["counted_in"]).map(readPane),
    session: isRecord(session) ? readSession(session) : null,
  };
}

function readPlace(item: Item): Place {
  return { receivedMs: instant(item, "received_at"), partition: number(item, "partition") ?? 0, offset: number(item, "offset") ?? 0 };
}

function readPane(item: Item): Pane {
  return {
    metric: text(item, "metric"),
    startMs: instant(item, "start"),
    endMs: instant(item, "end"),
    dimensions: texts(item, "dimensions"),
    value: number(item, "value"),
  };
}

function readSession(item: Item): Session {
  return {
    startedMs: instant(item, "started_at"),
    endedMs: instant(item, "ended_at"),
    events: number(item, "events") ?? 0,
    pageViews: number(item, "page_views") ?? 0,
    bounced: item["bounced"] === true,
    open: item["open"] === true,
  };
}

export const STATUS_WORDS: Readonly<Record<Occurrence["status"], string>> = {
  counted: "Counted",
  duplicate: "Duplicate, not counted again",
  too_late: "Too late, not counted",
  too_far_ahead: "Too far ahead of its time, not counted",
  rejected: "Rejected, not counted",
};

/** The whole story of a record, beside its panes. */
export function sentencesOf(one: Occurrence, zone: string | null): readonly string[] {
  if (one.status === "counted") {
    return [acceptedSentence(one, zone), enrichedSentence(one), sessionSentence(one, zone), panesSentence(one)];
  }
  const received = `Received ${atPlace(one.place, zone)}.`;
  if (one.status === "duplicate") {
    const first = one.duplicateOf;
    return [received, first ? `The same id was counted before: accepted ${atPlace(first, zone)}.` : "The same id was counted before; that record is older than retention."];
  }
  const reason = one.status === "rejected" ? `The reason is ${lowerWords(one.reason)}: ` : "";
  return [received, `${capital(reason + one.message)}.`];
}

function acceptedSentence(one: Counted, zone: string | null): string {
  const by = one.userId !== null ? ` of the user ${one.userId}` : one.anonymousId !== null ? ` of the anonymous visitor ${one.anonymousId}` : "";
  const own = one.timestampMs === one.place.receivedMs ? "" : ` Its own time is ${fullTime(one.timestampMs, zone)}.`;
  return `The event ${one.event}${by} was accepted ${atPlace(one.place, zone)}.${own}`;
}

function enrichedSentence(one: Counted): string {
  const added = pairs(one.enriched);
  return added ? `Enriched from the user's profile with ${added}.` : "Not enriched: no profile added anything.";
}

function sessionSentence({ session, userId, anonymousId }: Counted, zone: string | null): string {
  if (!session) return userId === null && anonymousId === null ? "In no session: the event has no user." : "Its session is not known, or no longer.";
  const { events, pageViews } = session;
  const about = `${counted(events, "event")}, ${counted(pageViews, "page view")}${session.bounced ? ", a bounce" : ""}`;
  const lasted = durationText(session.endedMs - session.startedMs);
  return session.open
    ? `In a session that began at ${clock(session.startedMs, zone)} and is still open: ${about} so far.`
    : `In a session that began at ${clock(session.startedMs, zone)} and lasted ${lasted}: ${about}.`;
}

function panesSentence({ panes }: Counted): string {
  return panes.length === 0 ? "Counted in no window: no metric of today's takes such an event." : `Counted in ${counted(panes.length, "window")}:`;
}

/** `country US, device mobile` */
export function pairs(dimensions: Readonly<Record<string, string>>): string {
  return Object.entries(dimensions).map(([name, value]) => `${lowerWords(name)} ${value}`).join(", ");
}

function atPlace({ receivedMs, partition, offset }: Place, zone: string | null): string {
  return `on ${fullTime(receivedMs, zone)}, at offset ${exactNumber(offset)} of partition ${partition}`;
}

function counted(count: number, what: string): string {
  return `${exactNumber(count)} ${what}${count === 1 ? "" : "s"}`;
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
