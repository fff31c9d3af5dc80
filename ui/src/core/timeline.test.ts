import { expect, test } from "vitest";
import type { Alert, Change } from "./alerts";
import { firingsOf, merged, timelines } from "./timeline";

const SPAN = { fromMs: 100, toMs: 200 };

function change(atMs: number, from: string, to: string, fingerprint = "f"): Change {
  return { atMs, rule: "r", fingerprint, labels: { country: fingerprint }, from, to, value: 1 };
}

function alert(own: Partial<Alert>): Alert {
  return { fingerprint: "f", rule: "r", group: "g", state: "firing", labels: {}, annotations: {}, value: 1, activeMs: 10, firedMs: 20, resolvedMs: null, heldReason: "", silencedBy: [], ...own };
}

function segments(changes: readonly Change[], alerts: readonly Alert[] = [], span = SPAN) {
  return timelines(changes, alerts, span).flatMap(({ lanes }) => lanes.flatMap((lane) => lane.segments.map(({ phase, fromMs, toMs }) => [phase, fromMs, toMs])));
}

test("an alert is pending, fires and is resolved, whatever the order of its changes", () => {
  const changes = [change(160, "firing", "resolved"), change(130, "pending", "firing"), change(120, "inactive", "pending")];
  expect(segments(changes)).toEqual([["pending", 120, 130], ["firing", 130, 160]]);
});

test("what fired when the span began fires from its beginning, and was not begun in it", () => {
  const [timeline] = timelines([change(150, "firing", "resolved")], [], SPAN);
  expect(timeline).toMatchObject({ firings: 0, firingMs: 50, lanes: [{ segments: [{ fromMs: 100, toMs: 150 }] }] });
});

test("what has not been resolved fires to the end of the span", () => {
  expect(segments([change(150, "pending", "firing")])).toEqual([["pending", 100, 150], ["firing", 150, 200]]);
});

test("a change after the span says what was during it", () => {
  expect(segments([change(300, "firing", "resolved")])).toEqual([["firing", 100, 200]]);
  expect(segments([change(300, "inactive", "firing")])).toEqual([]);
});

test("what has been as it is since before the span has no change, and is drawn", () => {
  expect(segments([], [alert({})])).toEqual([["firing", 100, 200]]);
  expect(segments([], [alert({ firedMs: null, state: "pending" })])).toEqual([["pending", 100, 200]]);
  expect(segments([], [alert({ firedMs: 250 })])).toEqual([]);
  expect(segments([], [alert({ state: "resolved", resolvedMs: 50 })])).toEqual([]);
  expect(segments([], [alert({ state: "held", value: null, firedMs: null })])).toEqual([]);
});

test("a rule fires as long as any of its alerts does", () => {
  const changes = [change(110, "inactive", "firing", "DE"), change(150, "firing", "resolved", "DE"), change(140, "inactive", "firing", "US"), change(160, "firing", "resolved", "US")];
  expect(timelines(changes, [], SPAN)).toMatchObject([{ rule: "r", firings: 2, firingMs: 50 }]);
});

test("the rule that fired longest comes first", () => {
  const changes = [change(150, "firing", "resolved"), { ...change(190, "firing", "resolved"), rule: "longer" }];
  expect(timelines(changes, [], SPAN).map(({ rule }) => rule)).toEqual(["longer", "r"]);
});

test("a chart shows when the rules that read its metric fired, and no others", () => {
  const rule = (name: string, expr: string) => ({ kind: "alert" as const, name, expr, problem: "" });
  const all = timelines([change(150, "firing", "resolved"), { ...change(190, "pending", "resolved"), rule: "waits" }, { ...change(190, "firing", "resolved"), rule: "other" }], [], SPAN);
  const rules = [rule("r", "sum(page_views[5m]) > 1"), rule("waits", "page_views"), rule("other", "my_page_views + page_views_total + x:page_views")];
  expect(firingsOf("page_views", rules, all)).toEqual([{ rule: "r", fromMs: 100, toMs: 150 }]);
});

test("segments that overlap or touch are one, and what fires is drawn over what is pending", () => {
  const firing = (fromMs: number, toMs: number) => ({ phase: "firing" as const, fromMs, toMs });
  const pending = { phase: "pending" as const, fromMs: 4, toMs: 30 };
  expect(merged([firing(5, 9), firing(0, 6), pending, firing(7, 8), firing(9, 10), firing(20, 21)])).toEqual([pending, firing(0, 10), firing(20, 21)]);
  expect(merged([])).toEqual([]);
});
