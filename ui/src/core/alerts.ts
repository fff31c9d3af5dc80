/** Alerts: what is wrong now, what was, and what is watched for. */
import { parseInstant } from "./address";
import { SHOWN_STATES, type ShownState } from "./alertStates";
import { type Item, instant, isRecord, list, listIn, number, optionalText, text, texts, unexpected } from "./shapes";

const STATES = ["firing", "pending", "held", "resolved"] as const;

export interface Alert {
  readonly fingerprint: string;
  readonly rule: string;
  readonly group: string;
  readonly state: (typeof STATES)[number];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly value: number | null;
  readonly activeMs: number;
  readonly firedMs: number | null;
  readonly resolvedMs: number | null;
  readonly heldReason: string;
  /** Ids of silences, and `maintenance:NAME`. */
  readonly silencedBy: readonly string[];
}

export interface Alerts {
  readonly alerts: readonly Alert[];
  /** Null: rules were not evaluated yet. */
  readonly evaluatedMs: number | null;
}

/** One change of one alert. */
export interface Change {
  readonly atMs: number;
  readonly rule: string;
  readonly fingerprint: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly from: string;
  readonly to: string;
  readonly value: number | null;
}

export interface Rule {
  readonly kind: "alert" | "record";
  readonly name: string;
  readonly expr: string;
  readonly problem: string;
}

export interface RuleGroup {
  readonly name: string;
  /** `file`, `made`, or `built-in`. */
  readonly source: string;
  readonly file: string | null;
  /** Of one that was made here. */
  readonly text: string | null;
  readonly rules: readonly Rule[];
}

export interface Rules {
  readonly groups: readonly RuleGroup[];
  /** Of files that can't be used. */
  readonly problems: readonly { readonly of: string; readonly problem: string }[];
}

export function readAlerts(body: unknown): Alerts {
  const evaluatedMs = isRecord(body) ? parseInstant(optionalText(body["evaluated_at"])) : null;
  return { alerts: listIn(body, "alerts").map(readAlert), evaluatedMs };
}

export function readAlert(item: Item): Alert {
  const state = STATES.find((each) => each === item["state"]);
  if (!state) throw unexpected("an alert has no state that is known here");
  return {
    fingerprint: text(item, "fingerprint"),
    rule: text(item, "rule"),
    group: text(item, "group"),
    state,
    labels: texts(item, "labels"),
    annotations: texts(item, "annotations"),
    value: number(item, "value"),
    activeMs: instant(item, "active_at"),
    firedMs: parseInstant(optionalText(item["fired_at"])),
    resolvedMs: parseInstant(optionalText(item["resolved_at"])),
    heldReason: text(item, "held_reason"),
    silencedBy: strings(item["silenced_by"]),
  };
}

export function readChange(item: Item): Change {
  return {
    atMs: instant(item, "at"),
    rule: text(item, "rule"),
    fingerprint: text(item, "fingerprint"),
    labels: texts(item, "labels"),
    from: text(item, "from"),
    to: text(item, "to"),
    value: number(item, "value"),
  };
}

export function readRules(body: unknown): Rules {
  return {
    groups: listIn(body, "groups").map((group) => ({ name: text(group, "name"), source: text(group, "source"), file: optionalText(group["file"]), text: optionalText(group["text"]), rules: list(group["rules"]).map(readRule) })),
    problems: listIn(body, "problems").map((one) => ({ of: text(one, "of"), problem: text(one, "problem") })),
  };
}

export function readRule(item: Item): Rule {
  return {
    kind: item["kind"] === "record" ? "record" : "alert",
    name: text(item, "name"),
    expr: text(item, "expr"),
    problem: optionalText(item["problem"]) ?? "",
  };
}

/** What was resolved is told whether or not it is silenced. */
export function shownState(alert: Alert): ShownState {
  return alert.silencedBy.length > 0 && alert.state !== "resolved" ? "silenced" : alert.state;
}

/** The rules of alerts that somebody wrote, not those that are built in. */
export function writtenRules(rules: Rules): readonly Rule[] {
  return rules.groups.filter(({ source }) => source !== "built-in").flatMap((group) => group.rules.filter(({ kind }) => kind === "alert"));
}

/** How many are in each state. */
export function countStates(alerts: readonly Alert[]): Readonly<Record<ShownState, number>> {
  const counts = { firing: 0, held: 0, pending: 0, silenced: 0, resolved: 0 };
  for (const alert of alerts) counts[shownState(alert)] += 1;
  return counts;
}

/** Those to look at first come first: by state, then the newest. */
export function inOrder(alerts: readonly Alert[]): readonly Alert[] {
  return alerts.toSorted((one, other) => SHOWN_STATES.indexOf(shownState(one)) - SHOWN_STATES.indexOf(shownState(other)) || sinceMs(other) - sinceMs(one));
}

/** Since when it is as it is. */
export function sinceMs(alert: Alert): number {
  return alert.resolvedMs ?? alert.firedMs ?? alert.activeMs;
}

/** Its labels beside the name, which is shown already. */
export function ownLabels(labels: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(labels).filter(([name]) => name !== "alertname");
}

export function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
