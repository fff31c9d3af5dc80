import type { ReactNode } from "react";
import { Ago, AskedPanel } from "../components/Asked";
import { Figure } from "../components/numbers";
import { SHOWN_STATES, type ShownState } from "../core/alertStates";
import { type Alert, type Alerts, type Rules, countStates, inOrder, ownLabels, shownState, sinceMs, writtenRules } from "../core/alerts";
import { words } from "../core/names";
import { exactNumber } from "../core/numbers";
import type { Silence } from "../core/silences";
import { useAlerts, useMayChange, useSilences } from "../state/alerting";
import { useAddress, useApp } from "../state/hooks";

/** A rule without limits may find thousands. */
const SHOWN_MAX = 200;

interface AlertsPanelProps {
  readonly rules: Rules | undefined;
  readonly onSilence: (alert: Alert) => void;
}

export function AlertsPanel({ rules, onSilence }: AlertsPanelProps): ReactNode {
  const query = useAlerts();
  const evaluatedMs = query.data?.evaluatedMs ?? null;
  const note = evaluatedMs === null ? "rules are evaluated soon" : <>evaluated <Ago ms={evaluatedMs} nowMs={query.dataUpdatedAt} /></>;
  return (
    <AskedPanel title="Now" note={query.data && note} query={query} testId="alerts">
      {(data) => <Now data={data} rules={rules} nowMs={query.dataUpdatedAt} onSilence={onSilence} />}
    </AskedPanel>
  );
}

interface NowProps extends AlertsPanelProps {
  readonly data: Alerts;
  readonly nowMs: number;
}

function Now({ data, rules, nowMs, onSilence }: NowProps): ReactNode {
  const { state } = useAddress();
  const mayChange = useMayChange();
  const silences = new Map(useSilences().data?.silences.map((each) => [each.id, each]));
  if (data.alerts.length === 0) return <p className="quiet-state" data-testid="no-alerts">{quietWords(rules)}</p>;
  const shown = inOrder(data.alerts).filter((alert) => state === null || shownState(alert) === state);
  return (
    <>
      <StateFilter counts={countStates(data.alerts)} />
      {shown.length > 0 && (
        <div className="letters-scroll">
          <table className="plain-table alert-table">
            <caption className="visually-hidden">Alerts, those that fire first</caption>
            <thead><tr><th scope="col">State</th><th scope="col">Alert</th><th scope="col" className="number">Value</th><th scope="col">Since</th><th scope="col"><span className="visually-hidden">Actions</span></th></tr></thead>
            <tbody>
              {shown.slice(0, SHOWN_MAX).map((alert) => (
                <AlertRow key={`${alert.group} ${alert.rule} ${alert.fingerprint}`} alert={alert} silences={silences} nowMs={nowMs} onSilence={mayChange ? () => onSilence(alert) : undefined} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {shown.length === 0 && <p className="quiet-state">Nothing is {state} now.</p>}
      {shown.length > SHOWN_MAX && <p className="panel-note">And {exactNumber(shown.length - SHOWN_MAX)} more.</p>}
    </>
  );
}

function quietWords(rules: Rules | undefined): string {
  const count = rules ? writtenRules(rules).length : 0;
  if (count === 0) return "Nothing is wrong, as far as rules know.";
  return `Nothing is wrong: ${count === 1 ? "the one rule is" : `all ${exactNumber(count)} rules are`} quiet.`;
}

function StateFilter({ counts }: { readonly counts: Readonly<Record<ShownState, number>> }): ReactNode {
  const { state: chosen } = useAddress();
  const { navigation } = useApp();
  return (
    <ul className="reasons" aria-label="By state">
      {SHOWN_STATES.filter((state) => counts[state] > 0 || state === chosen).map((state) => (
        <li key={state}>
          <button type="button" className="reason" aria-pressed={state === chosen} data-testid="state" data-value={state} data-exact={counts[state]} onClick={() => navigation.go({ state: state === chosen ? null : state })}>
            <StateMark state={state} /> <Figure value={counts[state]} className="reason-count" />
          </button>
        </li>
      ))}
    </ul>
  );
}

function StateMark({ state }: { readonly state: ShownState }): ReactNode {
  return <span className="alert-state" data-state={state}><span className="dot" aria-hidden="true" />{words(state)}</span>;
}

interface AlertRowProps {
  readonly alert: Alert;
  readonly silences: ReadonlyMap<string, Silence>;
  readonly nowMs: number;
  /** None: this browser may only look. */
  readonly onSilence: (() => void) | undefined;
}

function AlertRow({ alert, silences, nowMs, onSilence }: AlertRowProps): ReactNode {
  const { navigation } = useApp();
  const state = shownState(alert);
  const summary = alert.annotations["summary"] ?? alert.annotations["description"];
  return (
    <tr data-testid="alert" data-state={state} data-rule={alert.rule}>
      <td><StateMark state={state} />{state === "silenced" && <div className="panel-note">{alert.state}</div>}</td>
      <th scope="row" className="alert-words">
        <button type="button" className="link-button alert-name" title="Show its timeline" onClick={() => navigation.go({ rule: alert.rule })}>{alert.rule}</button>
        <Labels labels={alert.labels} />
        {summary && <p>{summary}</p>}
        {alert.heldReason && <p className="panel-note held-reason">Held: {alert.heldReason}</p>}
        {state === "silenced" && alert.silencedBy.map((id) => <p key={id} className="panel-note"><SilencedBy id={id} silence={silences.get(id)} nowMs={nowMs} /></p>)}
      </th>
      <td className="number"><Figure value={alert.value} /></td>
      <td className="alert-since"><Ago ms={sinceMs(alert)} nowMs={nowMs} /></td>
      <td className="key-actions">
        {onSilence && state !== "silenced" && state !== "resolved" && <button type="button" className="button" data-testid="silence" aria-label={`Silence ${alert.rule}`} onClick={onSilence}>Silence</button>}
      </td>
    </tr>
  );
}

export function Labels({ labels }: { readonly labels: Readonly<Record<string, string>> }): ReactNode {
  return <span className="labels">{ownLabels(labels).map(([name, value]) => <code key={name} className="label">{name}={value}</code>)}</span>;
}

function SilencedBy({ id, silence, nowMs }: { readonly id: string; readonly silence: Silence | undefined; readonly nowMs: number }): ReactNode {
  if (silence) return <>Silenced by {silence.author}, ends <Ago ms={silence.endsMs} nowMs={nowMs} />: {silence.comment}</>;
  return id.startsWith("maintenance:") ? <>In the maintenance window {id.slice("maintenance:".length)}</> : <>Silenced</>;
}
