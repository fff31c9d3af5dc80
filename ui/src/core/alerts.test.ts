import { expect, test } from "vitest";
import { type Alert, countStates, inOrder, readAlerts, readRules, shownState, writtenRules } from "./alerts";
import { Client } from "./api";

const SENT = {
  fingerprint: "f1", rule: "traffic_drop", group: "traffic", state: "firing", labels: { alertname: "traffic_drop", country: "DE" }, annotations: { summary: "page_views DE fell by 30%" },
  value: 0.3, active_at: "2026-01-01T12:00:00Z", fired_at: "2026-01-01T12:02:00Z", resolved_at: null, held_reason: "", silenced_by: [],
};

function alert(change: Partial<Alert>): Alert {
  const [read] = readAlerts({ alerts: [SENT], evaluated_at: null }).alerts;
  if (!read) throw new Error("no alert was read");
  return { ...read, ...change };
}

test("alerts are read with their times, and before the first evaluation there is none", async () => {
  const client = new Client(async () => Response.json({ alerts: [SENT], evaluated_at: "2026-01-01T12:03:00Z" }));
  const { alerts, evaluatedMs } = await client.alerts();
  expect(evaluatedMs).toBe(1_767_268_980_000);
  expect(alerts[0]).toMatchObject({ rule: "traffic_drop", firedMs: 1_767_268_920_000, resolvedMs: null, labels: { country: "DE" } });
  expect(readAlerts({ alerts: [], evaluated_at: null })).toEqual({ alerts: [], evaluatedMs: null });
});

test("an alert in a state that is not known is unreadable, not shown as something else", () => {
  expect(() => readAlerts({ alerts: [{ ...SENT, state: "odd" }], evaluated_at: null })).toThrow("no state that is known");
});

test("what fires and is silenced is shown as silenced; what was resolved as resolved", () => {
  expect(shownState(alert({ silencedBy: ["s1"] }))).toBe("silenced");
  expect(shownState(alert({ silencedBy: ["s1"], state: "resolved" }))).toBe("resolved");
});

test("the number of firing alerts leaves out those that are silenced", () => {
  expect(countStates([alert({}), alert({ silencedBy: ["s1"] }), alert({ state: "held" })])).toEqual({ firing: 1, silenced: 1, held: 1, pending: 0, resolved: 0 });
});

test("what fires comes before what is silenced, and the newest first", () => {
  const [old, young, silenced] = [alert({ firedMs: 1 }), alert({ firedMs: 2 }), alert({ firedMs: 3, silencedBy: ["s1"] })];
  expect(inOrder([silenced, old, young])).toEqual([young, old, silenced]);
});

test("history is asked for from a time up to now", async () => {
  const asked: string[] = [];
  const client = new Client(async (url) => {
    asked.push(url);
    return Response.json({ changes: [{ at: "2026-01-01T12:00:00Z", rule: "r", group: "g", fingerprint: "f", labels: {}, from: "pending", to: "firing", value: null }] });
  });
  expect(await client.alertChanges(1_767_268_800_000)).toEqual([{ atMs: 1_767_268_800_000, rule: "r", fingerprint: "f", labels: {}, from: "pending", to: "firing", value: null }]);
  expect(asked).toEqual(["/alerts/history?from=2026-01-01T12:00:00Z"]);
});

test("rules say what is wrong with them", async () => {
  const rule = { kind: "alert", name: "r", expr: "up == 0", problem: "too many series" };
  const client = new Client(async () => Response.json({ groups: [{ name: "g", source: "file", file: "g.yml", rules: [rule] }], problems: [{ of: "h.yml", problem: "line 2" }], interval_ms: 60_000 }));
  expect(await client.rules()).toEqual({ groups: [{ name: "g", source: "file", file: "g.yml", text: null, rules: [rule] }], problems: [{ of: "h.yml", problem: "line 2" }] });
});

test("rules that are built in, and recorded series, are not rules that somebody wrote to be told of", () => {
  const rule = (kind: string, name: string) => ({ kind, name, expr: "up", problem: null });
  const group = (source: string, ...rules: unknown[]) => ({ name: source, source, file: null, rules });
  const rules = readRules({ groups: [group("built-in", rule("alert", "Held")), group("file", rule("record", "sum"), rule("alert", "mine"))], problems: [] });
  expect(writtenRules(rules).map(({ name }) => name)).toEqual(["mine"]);
});
