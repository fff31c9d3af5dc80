import { expect, test } from "vitest";
import { Client } from "./api";
import { curvesPath, readBacktest, readCurves, thresholdOf } from "./ruleText";

test("an expression that is held against a number is drawn without it", () => {
  expect(thresholdOf("sum(sum_over_time(page_views[5m])) == 0")).toEqual({ expr: "sum(sum_over_time(page_views[5m]))", limit: 0 });
  expect(thresholdOf(' a{x="1 > 2"} / b\n > 5e-2')).toEqual({ expr: 'a{x="1 > 2"} / b', limit: 0.05 });
  expect(thresholdOf("(a and b) > bool -3")).toEqual({ expr: "(a and b)", limit: -3 });
});

test("of a short form that was written out the part that says how much is drawn", () => {
  expect(thresholdOf("(1 - sum(a{x=\")\"}) / b > 0.2) and (c >= 10)")).toEqual({ expr: '1 - sum(a{x=")"}) / b', limit: 0.2 });
  for (const expr of ["(a > 1) or (b > 2)", "(a > 1) and (b) or (c)", "(a) and (b > 2)"]) expect(thresholdOf(expr)).toEqual({ expr, limit: null });
});

test("a comparison that is not the outermost part leaves the expression as it is", () => {
  for (const expr of ["a and b > 5", "up", "a > b", "(a > 5)", "f(a > 5", "a or sum(b) < 1", "> 5"]) expect(thresholdOf(expr)).toEqual({ expr, limit: null });
});

test("a curve is asked for at whole steps, however long the span is", () => {
  const day = curvesPath("a > 1", { fromMs: 1_767_268_812_345, toMs: 1_767_355_212_345 });
  const query = new URLSearchParams(day.split("?")[1]);
  expect(query.get("query")).toBe("a > 1");
  const [start, end, step] = ["start", "end", "step"].map((name) => Number(query.get(name)));
  expect([step, (start ?? 1) % 360, (end ?? 1) % 360]).toEqual([360, 0, 0]);
});

test("points that are no numbers are left out of a curve", () => {
  const body = { status: "success", data: { resultType: "matrix", result: [{ metric: { country: "DE" }, values: [[1, "2.5"], [2, "NaN"], [3, "+Inf"], [4, "0"]] }] } };
  expect(readCurves(body)).toEqual([{ labels: { country: "DE" }, points: [{ atMs: 1_000, value: 2.5 }, { atMs: 4_000, value: 0 }] }]);
});

test("what still fires at the end of a backtest fires to its end", () => {
  const firing = { labels: {}, started_at: "2026-01-01T12:30:00Z", ended_at: null, value: 1 };
  const rule = { group: "g", name: "r", expr: "up", firings_count: 1, firing_ms: 1_800_000, notifications: 1, firings: [firing] };
  const { span, rules } = readBacktest({ from: "2026-01-01T12:00:00Z", to: "2026-01-01T13:00:00Z", rules: [rule] });
  expect(rules[0]?.segments).toEqual([{ phase: "firing", fromMs: span.fromMs + 1_800_000, toMs: span.toMs }]);
});

test("a group that was deleted is answered with nothing, and that is no error", async () => {
  const client = new Client(async () => new Response(null, { status: 204 }));
  await expect(client.deleteRules("a/b")).resolves.toBeUndefined();
});
