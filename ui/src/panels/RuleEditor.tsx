import { type ReactNode, useState } from "react";
import { ErrorWords } from "../components/Panel";
import type { Rule } from "../core/alerts";
import { exactNumber } from "../core/numbers";
import type { Backtest, Checked } from "../core/ruleText";
import { merged } from "../core/timeline";
import { durationText, spanLabel } from "../core/times";
import { useCheckedRules, useWork } from "../state/alerting";
import { useAddress, useApp } from "../state/hooks";
import { RulePreview } from "./RulePreview";
import { Strip } from "./TimelinePanel";

const BACKTEST_RANGES = ["24h", "7d", "30d"] as const;

interface RuleEditorProps {
  /** Empty: a new one. */
  readonly group: string;
  readonly text: string;
}

/** A group of rules as text, what the server understands of it, how that looked, and when it would have fired. */
export function RuleEditor({ group, text }: RuleEditorProps): ReactNode {
  const { navigation } = useApp();
  const work = useWork();
  const [typed, setTyped] = useState(text);
  const [sure, setSure] = useState(false);
  const checked = useCheckedRules(typed);
  const groups = checked.isError ? [] : (checked.data?.groups ?? []);
  const only = groups.length === 1 ? groups[0] : undefined;
  const close = (): void => navigation.go({ edit: null });
  const save = async (): Promise<void> => {
    if (only && (await work.run((client) => client.putRules(only.name, typed)))) close();
  };
  const remove = async (): Promise<void> => {
    if (!sure) setSure(true);
    else if (await work.run((client) => client.deleteRules(group))) close();
  };
  return (
    <section className="panel rule-editor" data-testid="rule-editor">
      <h2>{group ? `Rules of ${group}` : "New rules"}</h2>
      <textarea aria-label="Rules" data-testid="rule-text" autoFocus spellCheck={false} rows={Math.min(24, Math.max(8, typed.split("\n").length))} value={typed} onChange={(event) => setTyped(event.target.value)} />
      <div role="status" aria-busy={checked.isFetching}>
        {checked.isError ? <div data-testid="rule-error"><ErrorWords error={checked.error} /></div> : checked.data && <Understood checked={checked.data} />}
      </div>
      <BacktestForm text={typed} isReady={groups.length > 0} />
      {group && only && only.name !== group && <p className="panel-note">The group is now called {only.name}: it is saved beside {group}, which stays.</p>}
      {groups.length > 1 && <p className="panel-note">One group is saved at a time; these are {groups.length}.</p>}
      <div role="alert">{work.error && <ErrorWords error={work.error} />}</div>
      <p className="dialog-foot">
        <button type="button" className="button primary" data-testid="rule-save" disabled={!only || work.busy || checked.isPlaceholderData} onClick={() => void save()}>Save</button>
        <button type="button" className="button" onClick={close}>Close without saving</button>
        {group && <button type="button" className="button" disabled={work.busy} onClick={() => void remove()}>{sure ? "Delete for good" : "Delete"}</button>}
      </p>
    </section>
  );
}

function Understood({ checked }: { readonly checked: Checked }): ReactNode {
  const all = checked.groups.flatMap(({ rules }) => rules);
  const [chosen, setChosen] = useState("");
  const rule: Rule | undefined = all.find((each) => keyOf(each) === chosen) ?? all[0];
  return (
    <div className="understood">
      {checked.notes.map((note) => <p key={note} className="held-reason">{note}</p>)}
      {all.length > 1 && (
        <div className="reasons" role="group" aria-label="Preview of">
          {all.map((each) => <button type="button" className="reason" key={keyOf(each)} aria-pressed={each === rule} onClick={() => setChosen(keyOf(each))}>{each.name}</button>)}
        </div>
      )}
      {rule && <RulePreview rule={rule} />}
    </div>
  );
}

/** Two rules may have one name. */
function keyOf({ name, expr }: { readonly name: string; readonly expr: string }): string {
  return `${name} ${expr}`;
}

function BacktestForm({ text, isReady }: { readonly text: string; readonly isReady: boolean }): ReactNode {
  const work = useWork();
  const [range, setRange] = useState<string>("7d");
  const [found, setFound] = useState<{ readonly text: string; readonly result: Backtest } | null>(null);
  const ask = (): Promise<boolean> => work.run(async (client) => setFound({ text, result: await client.backtestRules(text, range) }));
  return (
    <div className="backtest">
      <div className="backtest-ask">
        <button type="button" className="button" data-testid="backtest" disabled={!isReady || work.busy} onClick={() => void ask()}>When would it have fired?</button>
        <select aria-label="In the last" value={range} onChange={(event) => setRange(event.target.value)}>
          {BACKTEST_RANGES.map((each) => <option key={each} value={each}>last {each}</option>)}
        </select>
      </div>
      <div role="alert">{work.error && <ErrorWords error={work.error} />}</div>
      <div role="status">{found && <Found result={found.result} isOld={found.text !== text} />}</div>
    </div>
  );
}

function Found({ result, isOld }: { readonly result: Backtest; readonly isOld: boolean }): ReactNode {
  const { zone } = useAddress();
  return (
    <div className={isOld ? "dimmed" : ""} data-testid="backtest-result">
      <p className="panel-note">{spanLabel(result.span.fromMs, result.span.toMs, zone)}{isOld ? ", of the text before" : ""}</p>
      <ul className="timelines">
        {result.rules.map((rule) => (
          <li key={keyOf(rule)} className="timeline-row" data-testid="backtest-rule" data-firings={rule.firings}>
            <span className="timeline-name">{rule.name}</span>
            <Strip segments={merged(rule.segments)} span={result.span} />
            <span className="timeline-sum">{rule.firings === 0 ? "never" : `${exactNumber(rule.firings)} ×, ${durationText(rule.firingMs)}; ${exactNumber(rule.notifications)} notifications`}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
