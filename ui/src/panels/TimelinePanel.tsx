import type { ReactNode } from "react";
import { AskedPanel } from "../components/Asked";
import { Figure } from "../components/numbers";
import { type Change, type Rules, writtenRules } from "../core/alerts";
import { exactNumber } from "../core/numbers";
import { type Span, spanOf } from "../core/ranges";
import { CHANGES_MAX, type Lane, type RuleTimeline, type Segment, timelines } from "../core/timeline";
import { axisLabel, durationText, fullTime } from "../core/times";
import { useAlerts, useChanges } from "../state/alerting";
import { useAddress, useApp } from "../state/hooks";
import { Labels } from "./AlertsPanel";

const LANES_MAX = 20;
const LISTED_MAX = 50;
const TICKS = 4;

/** When each rule fired. One that is chosen shows its alerts apart, and every change. */
export function TimelinePanel({ rules }: { readonly rules: Rules | undefined }): ReactNode {
  const { range } = useAddress();
  const query = useChanges(range);
  const alerts = useAlerts().data?.alerts ?? [];
  const asked = spanOf(range, query.dataUpdatedAt);
  return (
    <AskedPanel title="Timeline" note={query.data?.length === CHANGES_MAX ? `of the newest ${exactNumber(CHANGES_MAX)} changes` : undefined} query={query} testId="timeline">
      {(changes) => {
        const known = { fromMs: asked.fromMs, toMs: Math.min(asked.toMs, query.dataUpdatedAt) };
        return <Timelines all={timelines(changes, alerts, known)} changes={changes} rules={rules} span={asked} />;
      }}
    </AskedPanel>
  );
}

interface TimelinesProps {
  readonly all: readonly RuleTimeline[];
  readonly changes: readonly Change[];
  readonly rules: Rules | undefined;
  readonly span: Span;
}

function Timelines({ all, changes, rules, span }: TimelinesProps): ReactNode {
  const { rule: chosen } = useAddress();
  const loud = new Set(all.map(({ rule }) => rule));
  const quiet = rules ? writtenRules(rules).filter(({ name }) => !loud.has(name)).length : 0;
  return (
    <>
      {all.length > 0 && <Axis span={span} />}
      <ul className="timelines">{all.map((one) => <RuleRow key={one.rule} one={one} changes={changes} span={span} />)}</ul>
      {chosen !== null && !loud.has(chosen) && <p className="quiet-state">{chosen} was quiet in this time.</p>}
      {quiet > 0 && <p className="quiet-state" data-testid="quiet-rules">{all.length > 0 ? "The other " : ""}{quiet === 1 ? (all.length > 0 ? "rule was" : "The one rule was") : `${exactNumber(quiet)} rules were`} quiet in this time.</p>}
    </>
  );
}

function Axis({ span }: { readonly span: Span }): ReactNode {
  const { zone } = useAddress();
  const incrementMs = (span.toMs - span.fromMs) / TICKS;
  return (
    <div className="timeline-axis" aria-hidden="true">
      {Array.from({ length: TICKS }, (_, index) => <span key={index}>{axisLabel(span.fromMs + index * incrementMs, incrementMs, zone)}</span>)}
    </div>
  );
}

interface RuleRowProps {
  readonly one: RuleTimeline;
  readonly changes: readonly Change[];
  readonly span: Span;
}

function RuleRow({ one, changes, span }: RuleRowProps): ReactNode {
  const { rule: chosen } = useAddress();
  const { navigation } = useApp();
  const isOpen = one.rule === chosen;
  const times = one.firings === 1 ? "began to fire once" : `began to fire ${exactNumber(one.firings)} times`;
  const label = one.firingMs === 0 ? "never fired" : `${one.firings > 0 ? times : "fired already"}, ${durationText(one.firingMs)} in all`;
  return (
    <li data-testid="rule-timeline" data-rule={one.rule} data-firings={one.firings}>
      <button type="button" className="timeline-row" aria-expanded={isOpen} onClick={() => navigation.go({ rule: isOpen ? null : one.rule })}>
        <span className="timeline-name">{one.rule}</span>
        <Strip segments={one.segments} span={span} />
        <span className="timeline-sum">{label}</span>
      </button>
      {isOpen && <Lanes lanes={one.lanes} span={span} />}
      {isOpen && <Changes changes={changes.filter(({ rule, atMs }) => rule === one.rule && atMs < span.toMs)} />}
    </li>
  );
}

export function Strip({ segments, span }: { readonly segments: readonly Segment[]; readonly span: Span }): ReactNode {
  const scale = 1_000 / (span.toMs - span.fromMs);
  return (
    <svg className="strip" viewBox="0 0 1000 16" preserveAspectRatio="none" aria-hidden="true">
      {segments.map(({ phase, fromMs, toMs }) => (
        <rect key={`${phase} ${fromMs}`} data-phase={phase} x={(fromMs - span.fromMs) * scale} width={Math.max(2, (toMs - fromMs) * scale)} y={phase === "firing" ? 0 : 5} height={phase === "firing" ? 16 : 6} />
      ))}
    </svg>
  );
}

function Lanes({ lanes, span }: { readonly lanes: readonly Lane[]; readonly span: Span }): ReactNode {
  if (lanes.length < 2) return null;
  return (
    <ul className="lanes">
      {lanes.slice(0, LANES_MAX).map((lane) => (
        <li key={lane.fingerprint} className="timeline-row">
          <span className="timeline-name"><Labels labels={lane.labels} /></span>
          <Strip segments={lane.segments} span={span} />
          <span className="timeline-sum" />
        </li>
      ))}
      {lanes.length > LANES_MAX && <li className="panel-note">And {exactNumber(lanes.length - LANES_MAX)} more.</li>}
    </ul>
  );
}

function Changes({ changes }: { readonly changes: readonly Change[] }): ReactNode {
  const { zone } = useAddress();
  if (changes.length === 0) return <p className="quiet-state">It did not change in this time.</p>;
  return (
    <div className="letters-scroll changes">
      <table className="plain-table">
        <caption className="visually-hidden">Changes, the newest first</caption>
        <thead><tr><th scope="col">At</th><th scope="col">Change</th><th scope="col">Alert</th><th scope="col" className="number">Value</th></tr></thead>
        <tbody>
          {changes.slice(0, LISTED_MAX).map((change) => (
            <tr key={`${change.atMs} ${change.fingerprint} ${change.to}`} data-testid="change-row">
              <th scope="row" className="alert-since">{fullTime(change.atMs, zone)}</th>
              <td className="alert-since">{change.from} → {change.to}</td>
              <td className="letter-message"><Labels labels={change.labels} /></td>
              <td className="number"><Figure value={change.value} /></td>
            </tr>
          ))}
        </tbody>
      </table>
      {changes.length > LISTED_MAX && <p className="panel-note">And {exactNumber(changes.length - LISTED_MAX)} before.</p>}
    </div>
  );
}
