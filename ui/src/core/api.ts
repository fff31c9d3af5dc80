/** The client of the HTTP API. Answers are checked here, once; what comes out can be trusted in shape, not in content. */
import { type AccessKey, type KeyWish, type MadeKey, type Session, readKey, readMade, readSession } from "./access";
import { formatInstant, parseInstant } from "./address";
import { type Alerts, type Change, type Rules, readAlerts, readChange, readRules } from "./alerts";
import { ApiError } from "./errors";
import { type Occurrence, readOccurrence } from "./explain";
import { type Filter, formatFilter } from "./filters";
import { type Letter, type ReasonCount, countsPath, lettersPath, readCount, readLetter } from "./letters";
import type { Comparison, Range, Span } from "./ranges";
import { type Backtest, type Checked, type Curve, curvesPath, readBacktest, readChecked, readCurves } from "./ruleText";
import { NOTIFICATIONS_MAX, type Notification, type Receiver, type Silence, type SilenceWish, type Silences, readNotification, readReceiver, readSilence, readSilences } from "./silences";
import { instant, isRecord, list, listIn, number, optionalText, record, text, unexpected } from "./shapes";

/** How the values of a metric become one number; `field` is the property whose numbers are taken. */
export interface Measure {
  readonly kind: string;
  readonly field: string | null;
}

export interface Metric {
  readonly name: string;
  /** The event it counts; null for any. */
  readonly event: string | null;
  readonly measure: Measure;
  readonly dimensions: readonly string[];
  readonly windowMs: number;
  readonly lastSeenMs: number | null;
}

/** A question to `GET /metrics`. */
export interface Question {
  readonly name: string;
  readonly range: Range;
  readonly filters: readonly Filter[];
  readonly step?: string;
  readonly compare?: Comparison;
  readonly groupBy?: string;
  readonly limit?: number;
}

export interface Freshness {
  /** Every accepted event before it has been counted; null before the first event. */
  readonly completeUpToMs: number | null;
  readonly lagMs: number;
}

export interface Answer extends Freshness {
  readonly metric: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** How old a cached answer is; null where it is not from a cache. */
  readonly ageMs: number | null;
}

export interface Point {
  readonly timestampMs: number;
  /** Null where a measure has no value without events (min, max). */
  readonly value: number | null;
  /** Of the period that is compared with; null where it has none, or where none is asked for. */
  readonly compared?: number | null;
}

export interface Series extends Answer {
  readonly points: readonly Point[];
  readonly stepMs: number;
  /** The period that is compared with. */
  readonly earlier?: Span | null;
}

export interface Row {
  readonly name: string;
  readonly value: number | null;
}

export interface Breakdown extends Answer {
  readonly dimension: string;
  readonly rows: readonly Row[];
  /** Whether some values were counted as `(other)`, because there were too many in a day. */
  readonly limited: boolean;
}

interface Wish {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly content?: unknown;
}

type Fetch = (url: string, init: { method: string; signal?: AbortSignal; headers: Record<string, string>; body?: string }) => Promise<Response>;

const TIMEOUT_MS = 20_000;
const NO_CONTENT = 204;

export class Client {
  readonly #fetch: Fetch;
  readonly #base: string;

  constructor(fetch: Fetch, base = "") {
    this.#fetch = fetch;
    this.#base = base;
  }

  async metrics(signal?: AbortSignal): Promise<readonly Metric[]> {
    const { body } = await this.#get("/metrics/names", signal);
    return list(body).map(readMetric);
  }

  async series(question: Question, signal?: AbortSignal): Promise<Series> {
    const { body, headers } = await this.#get(questionPath(question), signal);
    const points = list(body).map((item) => ({ timestampMs: instant(item, "timestamp"), value: number(item, "value"), compared: comparedOf(item) }));
    const [first, second] = points;
    const stepMs = Number(headers.get("Streamgauge-Step-Ms")) || gap(first, second);
    return { ...readAnswer(headers, question), points, stepMs, earlier: readEarlier(headers) };
  }

  async breakdown(question: Question & { readonly groupBy: string }, signal?: AbortSignal): Promise<Breakdown> {
    const { body, headers } = await this.#get(questionPath(question), signal);
    const dimension = question.groupBy;
    const rows = list(body).map((item) => ({ name: text(item, dimension), value: number(item, "value") }));
    return { ...readAnswer(headers, question), dimension, rows, limited: names(headers.get("Streamgauge-Limited")).includes(dimension) };
  }

  /** Values of a dimension that begin with `prefix`, the most frequent first. */
  async values(question: Question, dimension: string, prefix: string, signal?: AbortSignal): Promise<readonly Row[]> {
    const query = new URLSearchParams(questionPath(question).split("?")[1]);
    query.set("dimension", dimension);
    if (prefix) query.set("prefix", prefix);
    const { body } = await this.#get(`/metrics/values?${query.toString()}`, signal);
    return list(body).map((item) => {
      const measured = Object.keys(item).find((key) => key !== "value");
      return { name: text(item, "value"), value: measured === undefined ? null : number(item, measured) };
    });
  }

  /** How many events received in a range were not counted, by reason. */
  async letterCounts(range: Range, nowMs: number, signal?: AbortSignal): Promise<readonly ReasonCount[]> {
    const { body } = await this.#get(countsPath(range, nowMs), signal);
    return list(body).map(readCount);
  }

  /** The newest of them; null: of any reason. */
  async letters(range: Range, reason: string | null, nowMs: number, signal?: AbortSignal): Promise<readonly Letter[]> {
    const { body } = await this.#get(lettersPath(range, reason, nowMs), signal);
    return listIn(body, "letters").map(readLetter);
  }

  /** What became of the records with an event id, in the order of their receipt. */
  async explain(eventId: string, signal?: AbortSignal): Promise<readonly Occurrence[]> {
    const { body } = await this.#get(`/events/${encodeURIComponent(eventId)}`, signal);
    return listIn(body, "occurrences").map(readOccurrence);
  }

  /** Where events are sent; null: to the server that served the page. */
  async ingestUrl(signal?: AbortSignal): Promise<string | null> {
    const { body } = await this.#get("/-/addresses", signal);
    return text(record(body), "ingest") || null;
  }

  /** Who this browser is to the server. */
  async session(signal?: AbortSignal): Promise<Session> {
    return readSession((await this.#get("/session", signal)).body);
  }

  /** The server sets a cookie; the key is not kept. */
  async signIn(key: string): Promise<Session> {
    return readSession((await this.#ask("/session", { method: "POST", content: { key } })).body);
  }

  async signOut(): Promise<Session> {
    return readSession((await this.#ask("/session", { method: "DELETE" })).body);
  }

  async keys(signal?: AbortSignal): Promise<readonly AccessKey[]> {
    return listIn((await this.#get("/keys", signal)).body, "keys").map(readKey);
  }

  async makeKey(wish: KeyWish): Promise<MadeKey> {
    return readMade((await this.#ask("/keys", { method: "POST", content: wish })).body);
  }

  async rotateKey(id: string): Promise<MadeKey> {
    return readMade((await this.#ask(`/keys/${encodeURIComponent(id)}/rotate`, { method: "POST", content: {} })).body);
  }

  async revokeKey(id: string): Promise<void> {
    await this.#ask(`/keys/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  async alerts(signal?: AbortSignal): Promise<Alerts> {
    return readAlerts((await this.#get("/alerts", signal)).body);
  }

  /** Every change from a time up to now, the newest first. */
  async alertChanges(fromMs: number, signal?: AbortSignal): Promise<readonly Change[]> {
    const { body } = await this.#get(`/alerts/history?from=${formatInstant(Math.max(0, fromMs))}`, signal);
    return listIn(body, "changes").map(readChange);
  }

  async rules(signal?: AbortSignal): Promise<Rules> {
    return readRules((await this.#get("/rules", signal)).body);
  }

  /** How rules are understood; throws what is wrong with them. */
  async checkRules(rules: string, signal?: AbortSignal): Promise<Checked> {
    return readChecked((await this.#ask("/rules/check", { method: "POST", content: { text: rules } }, signal)).body);
  }

  async backtestRules(rules: string, range: string, signal?: AbortSignal): Promise<Backtest> {
    return readBacktest((await this.#ask("/rules/backtest", { method: "POST", content: { text: rules, range } }, signal)).body);
  }

  async putRules(group: string, rules: string): Promise<void> {
    await this.#ask(`/rules/${encodeURIComponent(group)}`, { method: "PUT", content: { text: rules } });
  }

  async deleteRules(group: string): Promise<void> {
    await this.#ask(`/rules/${encodeURIComponent(group)}`, { method: "DELETE" });
  }

  /** An expression of PromQL over a span. */
  async curves(expr: string, span: Span, signal?: AbortSignal): Promise<readonly Curve[]> {
    return readCurves((await this.#get(curvesPath(expr, span), signal)).body);
  }

  async silences(signal?: AbortSignal): Promise<Silences> {
    return readSilences((await this.#get("/silences", signal)).body);
  }

  async silence(wish: SilenceWish): Promise<Silence> {
    const { body } = await this.#ask("/silences", { method: "POST", content: wish });
    return readSilence(record(body));
  }

  async endSilence(id: string): Promise<void> {
    await this.#ask(`/silences/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  async receivers(signal?: AbortSignal): Promise<readonly Receiver[]> {
    return listIn((await this.#get("/receivers", signal)).body, "receivers").map(readReceiver);
  }

  /** What the receiver said to a test notification. */
  async testReceiver(name: string): Promise<string> {
    const { body } = await this.#ask(`/receivers/${encodeURIComponent(name)}/test`, { method: "POST" });
    return text(record(body), "answer");
  }

  /** The newest of them. */
  async notifications(signal?: AbortSignal): Promise<readonly Notification[]> {
    const { body } = await this.#get(`/notifications?limit=${NOTIFICATIONS_MAX}`, signal);
    return listIn(body, "notifications").map(readNotification);
  }

  #get(path: string, signal?: AbortSignal): Promise<{ body: unknown; headers: Headers }> {
    return this.#ask(path, { method: "GET" }, signal);
  }

  async #ask(path: string, { method, content }: Wish, signal?: AbortSignal): Promise<{ body: unknown; headers: Headers }> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response: Response;
    let body: unknown;
    try {
      response = await this.#fetch(this.#base + path, {
        method,
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        headers: { Accept: "application/json", ...(content === undefined ? {} : { "Content-Type": "application/json" }) },
        ...(content === undefined ? {} : { body: JSON.stringify(content) }),
      });
      body = await response.json().catch(() => undefined);
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw timeout.aborted
        ? new ApiError("timeout", "the server did not answer in 20 seconds", "try a shorter range, or fewer filters", 0)
        : new ApiError("unreachable", "the server can't be reached", "is `streamgauge up` running? this page tries again by itself", 0);
    }
    if (!response.ok) throw readError(body, response.status);
    if (body === undefined && response.status !== NO_CONTENT) throw unexpected("it is not JSON", response.status);
    return { body, headers: response.headers };
  }
}

/** The path and query of a question, the same for the page, for `curl` and as the key of a cache. */
export function questionPath(question: Question): string {
  const query = new URLSearchParams({ name: question.name });
  if (question.range.kind === "last") {
    query.set("range", question.range.last);
  } else {
    query.set("from", formatInstant(question.range.fromMs));
    query.set("to", formatInstant(question.range.toMs));
  }
  if (question.step) query.set("step", question.step);
  if (question.compare) query.set("compare", question.compare);
  if (question.groupBy) query.set("group_by", question.groupBy);
  for (const filter of question.filters) query.append("filter", formatFilter(filter));
  if (question.limit) query.set("limit", String(question.limit));
  return `/metrics?${query.toString().replaceAll("%3A", ":").replaceAll("%2F", "/")}`;
}

/** The shape that SSE and headers share. */
export function readFreshness(value: unknown): Freshness {
  const completeUpToMs = parseInstant(isRecord(value) ? optionalText(value["complete_up_to"]) : null);
  const lag = isRecord(value) ? value["lag_ms"] : 0;
  return { completeUpToMs: positive(completeUpToMs), lagMs: typeof lag === "number" ? lag : 0 };
}

function readAnswer(headers: Headers, { name, range }: Question): Answer {
  const between = range.kind === "between" ? range : null;
  const age = headers.get("Streamgauge-Cache") === "hit" ? headers.get("Age") : null;
  return {
    metric: name,
    completeUpToMs: positive(parseInstant(headers.get("Streamgauge-Complete-Up-To"))),
    lagMs: Number(headers.get("Streamgauge-Lag-Ms")) || 0,
    fromMs: parseInstant(headers.get("Streamgauge-From")) ?? between?.fromMs ?? 0,
    toMs: parseInstant(headers.get("Streamgauge-To")) ?? between?.toMs ?? Date.now(),
    ageMs: age === null ? null : Number(age) * 1_000,
  };
}

function comparedOf(item: Record<string, unknown>): number | null {
  return "compared" in item ? number(item, "compared") : null;
}

function readEarlier(headers: Headers): Span | null {
  const fromMs = parseInstant(headers.get("Streamgauge-Compared-From"));
  const toMs = parseInstant(headers.get("Streamgauge-Compared-To"));
  return fromMs === null || toMs === null ? null : { fromMs, toMs };
}

/** `country, page` */
function names(header: string | null): readonly string[] {
  return (header ?? "").split(",").map((name) => name.trim());
}

function readMetric(item: Record<string, unknown>): Metric {
  const dimensions = item["dimensions"];
  return {
    name: text(item, "name"),
    event: optionalText(item["event"]),
    measure: readMeasure(item["measure"]),
    dimensions: Array.isArray(dimensions) ? dimensions.filter((each) => typeof each === "string") : [],
    windowMs: number(item, "window_ms") ?? 60_000,
    lastSeenMs: parseInstant(optionalText(item["last_seen"])),
  };
}

/** `"count"`, or `{"sum": "price"}`. */
function readMeasure(value: unknown): Measure {
  const [entry] = isRecord(value) ? Object.entries(value) : [];
  if (entry) return { kind: entry[0], field: optionalText(entry[1]) };
  return { kind: optionalText(value) ?? "count", field: null };
}

function readError(body: unknown, status: number): ApiError {
  const error = isRecord(body) && isRecord(body["error"]) ? body["error"] : {};
  const code = optionalText(error["code"]) ?? `http_${status}`;
  const message = optionalText(error["message"]) ?? `the server answered ${status}`;
  return new ApiError(code, message, optionalText(error["hint"]) ?? "", status);
}

/** The epoch stands for "nothing yet". */
function positive(ms: number | null): number | null {
  return ms !== null && ms > 0 ? ms : null;
}

function gap(first: Point | undefined, second: Point | undefined): number {
  return first && second ? second.timestampMs - first.timestampMs : 60_000;
}
