/** The state of the page is its address: what is in the query string, and nothing else. */
import { SHOWN_STATES, type ShownState } from "./alertStates";
import { type Filter, formatFilter, parseFilter, withFilter } from "./filters";
import { COMPARISONS, type Comparison, DEFAULT_RANGE, durationMs, type Range } from "./ranges";

/** The pages: what is counted, and what is wrong with it. */
export const PAGES = ["metrics", "alerts"] as const;
export type Page = (typeof PAGES)[number];

export interface Address {
  readonly page: Page;
  /** Null: the first metric that has data. */
  readonly metric: string | null;
  readonly range: Range;
  readonly filters: readonly Filter[];
  /** An IANA name, or null for the visitor's own zone. */
  readonly zone: string | null;
  readonly live: boolean;
  /** What the line and the numbers stand beside; null: the numbers beside the period before, the line alone. */
  readonly compare: Comparison | null;
  /** The id of the event that is explained; empty: one is asked for; null: none. */
  readonly explain: string | null;
  /** Of the alerts page: only alerts in this state; null: all. */
  readonly state: ShownState | null;
  /** Of the alerts page: the rule whose changes are listed. */
  readonly rule: string | null;
  /** Of the alerts page: the group of rules that is written; empty: a new one; null: none. */
  readonly edit: string | null;
}

export const DEFAULT_ADDRESS: Address = {
  page: "metrics",
  metric: null,
  range: DEFAULT_RANGE,
  filters: [],
  zone: null,
  live: true,
  compare: null,
  explain: null,
  state: null,
  rule: null,
  edit: null,
};

const FILTERS_MAX = 20;

export function parseAddress(search: string): Address {
  const query = new URLSearchParams(search);
  let filters: readonly Filter[] = [];
  for (const text of query.getAll("filter").slice(0, FILTERS_MAX)) {
    const filter = parseFilter(text);
    if (filter) filters = withFilter(filters, filter);
  }
  return {
    page: PAGES.find((each) => each === query.get("page")) ?? DEFAULT_ADDRESS.page,
    metric: query.get("metric") || null,
    range: parseRange(query),
    filters,
    zone: parseZone(query.get("tz")),
    live: query.get("live") !== "off",
    compare: COMPARISONS.find((each) => each === query.get("compare")) ?? null,
    explain: query.get("explain"),
    state: SHOWN_STATES.find((each) => each === query.get("state")) ?? null,
    rule: query.get("rule") || null,
    edit: query.get("edit"),
  };
}

export function formatAddress(address: Address): string {
  const parts: string[] = [];
  const add = (key: string, value: string): void => void parts.push(`${key}=${readable(value)}`);
  if (address.page !== DEFAULT_ADDRESS.page) add("page", address.page);
  if (address.metric) add("metric", address.metric);
  if (address.range.kind === "between") {
    add("from", formatInstant(address.range.fromMs));
    add("to", formatInstant(address.range.toMs));
  } else if (DEFAULT_RANGE.kind !== "last" || address.range.last !== DEFAULT_RANGE.last) {
    add("range", address.range.last);
  }
  for (const filter of address.filters) add("filter", formatFilter(filter));
  if (address.zone) add("tz", address.zone);
  if (address.compare) add("compare", address.compare);
  if (!address.live) add("live", "off");
  if (address.state !== null) add("state", address.state);
  if (address.rule !== null) add("rule", address.rule);
  if (address.edit !== null) add("edit", address.edit);
  if (address.explain !== null) add("explain", address.explain);
  return parts.length > 0 ? `?${parts.join("&")}` : "";
}

/** RFC 3339 in UTC, without a fraction that is zero. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

/** Milliseconds of an RFC 3339 time or of a number of milliseconds; null where it is neither. */
export function parseInstant(text: string | null): number | null {
  if (!text) return null;
  const ms = /^\d{1,14}$/.test(text) ? Number(text) : Date.parse(text);
  return Number.isFinite(ms) ? ms : null;
}

function parseRange(query: URLSearchParams): Range {
  const fromMs = parseInstant(query.get("from"));
  const toMs = parseInstant(query.get("to"));
  if (fromMs !== null && toMs !== null && fromMs < toMs) return { kind: "between", fromMs, toMs };
  const last = query.get("range");
  return last !== null && durationMs(last) !== null ? { kind: "last", last } : DEFAULT_RANGE;
}

function parseZone(zone: string | null): string | null {
  if (!zone) return null;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return null;
  }
}

/** Colons, slashes and commas are legal in a query and easier to read as they are. */
function readable(value: string): string {
  return encodeURIComponent(value).replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%2C", ",");
}
