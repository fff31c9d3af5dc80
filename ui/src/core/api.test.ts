import { expect, test } from "vitest";
import { Client, questionPath } from "./api";
import { filterOf } from "./filters";
import { ApiError } from "./errors";

const LAST_DAY = { kind: "last", last: "24h" } as const;

function clientThatGets(body: unknown, init: ResponseInit = {}): Client {
  return new Client(async () => new Response(typeof body === "string" ? body : JSON.stringify(body), init));
}

async function errorOf(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(() => null, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

test("a question is spelled as the guide spells it", () => {
  const question = { name: "page_views", range: { kind: "last", last: "7d" }, filters: [{ dimension: "device", value: "mobile" }], groupBy: "country", limit: 50 } as const;
  expect(questionPath(question)).toBe("/metrics?name=page_views&range=7d&group_by=country&filter=device:mobile&limit=50");
});

test("a value may hold what a query string uses", () => {
  const path = questionPath({ name: "m", range: LAST_DAY, filters: [{ dimension: "page", value: "/a?b=c&d#e+f" }] });
  expect(new URL(path, "http://x").searchParams.get("filter")).toBe("page:/a?b=c&d#e+f");
});

test("a value is asked for as it is, whatever it holds", () => {
  const path = questionPath({ name: "m", range: LAST_DAY, filters: [filterOf("page", "a|b*\\c")] });
  expect(new URL(path, "http://x").searchParams.get("filter")).toBe("page:a\\|b\\*\\\\c");
});

test("a series comes with its freshness and its step", async () => {
  const headers = { "Streamgauge-Complete-Up-To": "2026-01-01T12:03:00Z", "Streamgauge-Lag-Ms": "400", "Streamgauge-From": "2026-01-01T12:00:00Z", "Streamgauge-To": "2026-01-01T12:05:00Z", "Streamgauge-Step-Ms": "60000" };
  const client = clientThatGets([{ timestamp: "2026-01-01T12:00:00Z", value: 42 }, { timestamp: "2026-01-01T12:01:00Z", value: null }], { headers });
  const series = await client.series({ name: "m", range: LAST_DAY, filters: [] });
  expect(series.points).toEqual([{ timestampMs: 1_767_268_800_000, value: 42, compared: null }, { timestampMs: 1_767_268_860_000, value: null, compared: null }]);
  expect(series.earlier).toBeNull();
  expect(series).toMatchObject({ stepMs: 60_000, lagMs: 400, completeUpToMs: 1_767_268_980_000, ageMs: null });
});

test("a series that is compared has both values and both times", async () => {
  const headers = { "Streamgauge-Compared-From": "2025-12-25T12:00:00Z", "Streamgauge-Compared-To": "2025-12-25T12:05:00Z" };
  const client = clientThatGets([{ timestamp: "2026-01-01T12:00:00Z", value: 42, compared: 7 }], { headers });
  const question = { name: "m", range: LAST_DAY, filters: [], compare: "week" } as const;
  expect(questionPath(question)).toContain("compare=week");
  const series = await client.series(question);
  expect(series.points[0]?.compared).toBe(7);
  expect(series.earlier).toEqual({ fromMs: 1_766_664_000_000, toMs: 1_766_664_300_000 });
});

test("values of a dimension come with what was measured, whatever it is called", async () => {
  const client = clientThatGets([{ value: "US", count: 12 }, { value: "UA", count: 3 }]);
  expect(await client.values({ name: "m", range: LAST_DAY, filters: [] }, "country", "U")).toEqual([{ name: "US", value: 12 }, { name: "UA", value: 3 }]);
});

test("an answer from the cache has an age, one of the store has none", async () => {
  const ages = [];
  for (const cache of ["hit", "miss", "bypass"]) {
    const client = clientThatGets([], { headers: { "Streamgauge-Cache": cache, Age: "14" } });
    ages.push((await client.series({ name: "m", range: LAST_DAY, filters: [] })).ageMs);
  }
  expect(ages).toEqual([14_000, null, null]);
});

test("the epoch as the time of completeness means that nothing was counted yet", async () => {
  const client = clientThatGets([], { headers: { "Streamgauge-Complete-Up-To": "1970-01-01T00:00:00Z" } });
  expect((await client.series({ name: "m", range: LAST_DAY, filters: [] })).completeUpToMs).toBeNull();
});

test("a breakdown is read by its dimension", async () => {
  const client = clientThatGets([{ country: "US", value: 3 }, { country: "(unknown)", value: 1 }]);
  const breakdown = await client.breakdown({ name: "m", range: LAST_DAY, filters: [], groupBy: "country" });
  expect(breakdown.rows).toEqual([{ name: "US", value: 3 }, { name: "(unknown)", value: 1 }]);
});

test("a breakdown says whether the limit of values was reached in its own dimension", async () => {
  const limited = async (header: string | null, groupBy: string) =>
    (await clientThatGets([], header === null ? {} : { headers: { "Streamgauge-Limited": header } }).breakdown({ name: "m", range: LAST_DAY, filters: [], groupBy })).limited;
  expect(await Promise.all([limited("country", "country"), limited("page, country", "country"), limited("page", "country"), limited(null, "country"), limited("", "country")])).toEqual([true, true, false, false, false]);
});

test("an event id may hold what a path uses", async () => {
  const asked: string[] = [];
  const client = new Client(async (url) => { asked.push(url); return Response.json({ event_id: "x", occurrences: [] }); });
  await client.explain("a/b?c#d%2F ü");
  expect(asked).toEqual(["/events/a%2Fb%3Fc%23d%252F%20%C3%BC"]);
});

test("events are sent where the server says, or to the server itself", async () => {
  const told = await clientThatGets({ ingest: "https://events.example.com" }).ingestUrl();
  expect([told, await clientThatGets({ ingest: "" }).ingestUrl()]).toEqual(["https://events.example.com", null]);
});

test("an unknown event id keeps the server's words", async () => {
  const body = { error: { code: "not_found", message: "no event with the id 'x' is known", hint: "ids are case-sensitive" } };
  expect(await errorOf(clientThatGets(body, { status: 404 }).explain("x"))).toMatchObject({ status: 404, hint: "ids are case-sensitive", passes: false });
});

test("letters and explanations of another shape are called unreadable", async () => {
  for (const body of [[], {}, { letters: [{}], occurrences: [{}] }, { letters: 1, occurrences: null }]) {
    const client = clientThatGets(body);
    expect((await errorOf(client.letters(LAST_DAY, null, 0))).code).toBe("unexpected_answer");
    expect((await errorOf(client.explain("x"))).code).toBe("unexpected_answer");
  }
});

test("a measure is a word or names its property", async () => {
  const metric = { name: "m", event: null, dimensions: ["a"], window_ms: 60_000, last_seen: null };
  const metrics = await clientThatGets([{ ...metric, measure: "count" }, { ...metric, measure: { sum: "max" } }]).metrics();
  expect(metrics.map(({ measure }) => measure)).toEqual([{ kind: "count", field: null }, { kind: "sum", field: "max" }]);
});

test("an error keeps the server's message, hint and code", async () => {
  const body = { error: { code: "unknown_metric", message: "there is no metric 'x'", hint: "did you mean y?" } };
  const error = await errorOf(clientThatGets(body, { status: 400 }).metrics());
  expect(error).toMatchObject({ code: "unknown_metric", message: "there is no metric 'x'", hint: "did you mean y?", status: 400, passes: false });
});

test("an error of something between, in HTML, is still an error with a status", async () => {
  const error = await errorOf(clientThatGets("<h1>Bad gateway</h1>", { status: 502 }).metrics());
  expect(error).toMatchObject({ code: "http_502", passes: true });
});

test("an answer of another shape is called unreadable instead of shown", async () => {
  for (const body of [{ data: 1 }, [1], [{ value: 1 }], [{ timestamp: "soon", value: 1 }], [{ timestamp: "2026-01-01T12:00:00Z", value: "1" }], "<html>"]) {
    const error = await errorOf(clientThatGets(body).series({ name: "m", range: LAST_DAY, filters: [] }));
    expect(error.code).toBe("unexpected_answer");
  }
});

test("no answer at all says that the server can't be reached", async () => {
  const client = new Client(async () => { throw new TypeError("Failed to fetch"); });
  expect(await errorOf(client.metrics())).toMatchObject({ code: "unreachable", status: 0, passes: true });
});

test("a question that was withdrawn is not an error of the server", async () => {
  const controller = new AbortController();
  controller.abort();
  const client = new Client(async (_, init) => { throw init.signal?.reason; });
  await expect(client.metrics(controller.signal)).rejects.not.toBeInstanceOf(ApiError);
});
