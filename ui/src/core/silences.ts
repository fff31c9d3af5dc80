/** Who is told of alerts, what became of it, and when nobody is. */
import { parseInstant } from "./address";
import { strings } from "./alerts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "./ranges";
import { type Item, instant, isRecord, listIn, number, optionalText, text } from "./shapes";

export interface Silence {
  readonly id: string;
  readonly state: string;
  readonly matchers: readonly string[];
  readonly startsMs: number;
  readonly endsMs: number;
  readonly author: string;
  readonly comment: string;
}

/** A silence of the config file, which comes again. */
export interface Maintenance {
  readonly name: string;
  readonly isOpen: boolean;
  readonly matchers: readonly string[];
  /** `sat, sun 02:00–04:00 Europe/Berlin` */
  readonly when: string;
  readonly comment: string;
}

export interface Silences {
  readonly silences: readonly Silence[];
  readonly maintenance: readonly Maintenance[];
}

export interface SilenceWish {
  readonly matchers: readonly string[];
  readonly ends_at: string;
  readonly author: string;
  readonly comment: string;
}

export interface Notification {
  readonly id: string;
  readonly receiver: string;
  readonly group: string;
  readonly status: string;
  readonly outcome: string;
  readonly madeMs: number;
  readonly tries: number;
  readonly nextTryMs: number | null;
  readonly answer: string;
  readonly firing: number;
  readonly resolved: number;
}

export interface Receiver {
  readonly name: string;
  readonly kind: string;
  readonly address: string;
  readonly matchers: readonly string[];
  readonly waiting: number;
  readonly oldestWaitingMs: number | null;
  readonly last: Notification | null;
}

export const NOTIFICATIONS_MAX = 30;

/** How long a silence lasts, to choose from. */
export const SILENCE_LENGTHS = [
  { ms: 30 * MINUTE_MS, words: "30 minutes" },
  { ms: HOUR_MS, words: "1 hour" },
  { ms: 2 * HOUR_MS, words: "2 hours" },
  { ms: 8 * HOUR_MS, words: "8 hours" },
  { ms: DAY_MS, words: "1 day" },
  { ms: 7 * DAY_MS, words: "1 week" },
] as const;
export const SILENCE_LENGTH_MS = 2 * HOUR_MS;

export function readSilences(body: unknown): Silences {
  return { silences: listIn(body, "silences").map(readSilence), maintenance: listIn(body, "maintenance").map(readMaintenance) };
}

export function readSilence(item: Item): Silence {
  return {
    id: text(item, "id"),
    state: text(item, "state"),
    matchers: strings(item["matchers"]),
    startsMs: instant(item, "starts_at"),
    endsMs: instant(item, "ends_at"),
    author: text(item, "author"),
    comment: text(item, "comment"),
  };
}

function readMaintenance(item: Item): Maintenance {
  const weekdays = strings(item["weekdays"]);
  const days = weekdays.length === 7 ? "every day" : weekdays.join(", ");
  return {
    name: text(item, "name"),
    isOpen: item["is_open"] === true,
    matchers: strings(item["matchers"]),
    when: `${days} ${text(item, "from")}–${text(item, "to")} ${text(item, "tz")}`,
    comment: text(item, "comment"),
  };
}

export function readReceiver(item: Item): Receiver {
  const last = item["last"];
  return {
    name: text(item, "name"),
    kind: text(item, "kind"),
    address: text(item, "address"),
    matchers: strings(item["matchers"]),
    waiting: number(item, "waiting") ?? 0,
    oldestWaitingMs: parseInstant(optionalText(item["oldest_waiting_at"])),
    last: isRecord(last) ? readNotification(last) : null,
  };
}

export function readNotification(item: Item): Notification {
  return {
    id: text(item, "id"),
    receiver: text(item, "receiver"),
    group: text(item, "group"),
    status: text(item, "status"),
    outcome: text(item, "outcome"),
    madeMs: instant(item, "made_at"),
    tries: number(item, "tries") ?? 0,
    nextTryMs: parseInstant(optionalText(item["next_try_at"])),
    answer: optionalText(item["answer"]) ?? "",
    firing: number(item, "alerts_firing") ?? 0,
    resolved: number(item, "alerts_resolved") ?? 0,
  };
}

export type Health = "unused" | "working" | "waiting" | "failing";

/** Waiting alone is no failure: something was sent a moment ago. What was tried and is still waiting was not taken. */
export function healthOf({ waiting, last }: Receiver): Health {
  if (last && (last.outcome === "refused" || last.outcome === "expired" || last.outcome === "dropped")) return "failing";
  if (last?.outcome === "waiting" && last.tries > 0) return "failing";
  if (waiting > 0) return "waiting";
  return last ? "working" : "unused";
}

/** `country="DE"`, as a silence matches it. */
export function matcherOf(name: string, value: string): string {
  return `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

export function matchesAll(chosen: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(chosen).every(([name, value]) => (labels[name] ?? "") === value);
}

/** Those that have not ended, the one that ends first before the others. */
export function notEnded(silences: readonly Silence[]): readonly Silence[] {
  return silences.filter(({ state }) => state !== "expired").toSorted((one, other) => one.endsMs - other.endsMs);
}
