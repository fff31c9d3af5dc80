import { type ReactNode, useState } from "react";
import { Snippet } from "../components/Snippet";
import { type Alert, type Rules, writtenRules } from "../core/alerts";
import { useAlerts, useMayChange, useRules } from "../state/alerting";
import { useAddress, useApp } from "../state/hooks";
import { AlertsPanel } from "./AlertsPanel";
import { NotificationsPanel } from "./NotificationsPanel";
import { ReceiversPanel } from "./ReceiversPanel";
import { RuleEditor } from "./RuleEditor";
import { RulesPanel } from "./RulesPanel";
import { SilenceDialog } from "./SilenceDialog";
import { SilencesPanel } from "./SilencesPanel";
import { TimelinePanel } from "./TimelinePanel";
import { ZoneButton } from "./TopBar";

/** What is wrong now, what was, who was told of it, and who is not. */
export default function AlertsPage(): ReactNode {
  const rules = useRules();
  const alerts = useAlerts().data?.alerts ?? [];
  const { edit } = useAddress();
  const [toSilence, setToSilence] = useState<Alert | null>(null);
  const hasRules = !rules.data || writtenRules(rules.data).length > 0 || rules.data.problems.length > 0 || alerts.length > 0;
  return (
    <main className="page alerts" data-testid="alerts-page">
      <header className="page-head">
        <h1>Alerts</h1>
        <span className="spacer" />
        <ZoneButton />
      </header>
      {rules.data && <RuleProblems rules={rules.data} />}
      {edit !== null && rules.data && <RuleEditor key={edit} group={edit} text={rules.data.groups.find(({ name }) => name === edit)?.text ?? FIRST_RULES} />}
      {hasRules ? <AlertsPanel rules={rules.data} onSilence={setToSilence} /> : <NoRules />}
      {hasRules && <TimelinePanel rules={rules.data} />}
      {hasRules && <RulesPanel />}
      <div className="alert-grid">
        <SilencesPanel />
        <ReceiversPanel />
      </div>
      <NotificationsPanel />
      {toSilence && <SilenceDialog alert={toSilence} alerts={alerts} onClose={() => setToSilence(null)} />}
    </main>
  );
}

function RuleProblems({ rules }: { readonly rules: Rules }): ReactNode {
  const failing = rules.groups.flatMap((group) => group.rules.filter(({ problem }) => problem).map(({ name, problem }) => ({ of: name, problem })));
  const all = [...rules.problems, ...failing];
  if (all.length === 0) return null;
  return (
    <section className="panel rule-problems" role="alert" data-testid="rule-problems">
      <h2>Rules that don't work</h2>
      <ul>{all.map(({ of, problem }) => <li key={of}><code>{of}</code>: {problem}</li>)}</ul>
    </section>
  );
}

const FIRST_RULES = `groups:
- name: traffic
  rules:
  - alert: NoPageViews
    expr: sum(sum_over_time(page_views[5m])) == 0
    for: 2m
    labels: {severity: page}
    annotations: {summary: "no page views in 5 minutes"}
  - anomaly: traffic_drop
    metric: page_views
    drop: 20%
    against: 1h
    min_volume: 100
    labels: {severity: page}
`;

function NoRules(): ReactNode {
  const { edit } = useAddress();
  const { navigation } = useApp();
  const mayChange = useMayChange();
  return (
    <section className="panel no-rules" data-testid="no-rules">
      <h2>No rules yet</h2>
      <p>A rule says when something is wrong. Put these two into the file <code>rules/traffic.yml</code>, in the folder that the server was started in or that the setting <code>alerts.rules</code> names. They are read at once, and evaluated every minute. Or write them here: they are kept by the server then.</p>
      {mayChange && edit === null && <p><button type="button" className="button primary" onClick={() => navigation.go({ edit: "" })}>Write them here</button></p>}
      <Snippet label="Two rules to begin with" text={FIRST_RULES} />
    </section>
  );
}
