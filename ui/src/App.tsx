import { type ReactNode, Suspense, lazy, useCallback, useEffect, useState } from "react";
import { HelpDialog } from "./components/HelpDialog";
import { ErrorWords } from "./components/Panel";
import { isShutOut } from "./core/access";
import type { Metric } from "./core/api";
import { ApiError } from "./core/errors";
import { formatFilter } from "./core/filters";
import { plural, words } from "./core/names";
import { untilLoaded } from "./core/retry";
import { Dashboard } from "./panels/Dashboard";
import { DeadLetterPanel } from "./panels/DeadLetterPanel";
import { EmptyStart } from "./panels/EmptyStart";
import { FirstEvent } from "./panels/FirstEvent";
import { foreignFilters } from "./panels/questions";
import { ShellSkeleton } from "./panels/ShellSkeleton";
import { SignIn } from "./panels/SignIn";
import { TopBar } from "./panels/TopBar";
import { useAddress, useApp, useMetrics, useSession } from "./state/hooks";
import { useFirstEvent } from "./state/useFirstEvent";
import { useShortcuts } from "./state/useShortcuts";

const KeysDialog = lazy(() => untilLoaded(() => import("./panels/KeysDialog")));
const AlertsPage = lazy(() => untilLoaded(() => import("./panels/AlertsPage")));
const ExplainDialog = lazy(() => untilLoaded(() => import("./panels/ExplainDialog")));

export function App(): ReactNode {
  const session = useSession();
  if (isShutOut(session.data)) return <SignIn />;
  return <SignedIn />;
}

function SignedIn(): ReactNode {
  const address = useAddress();
  const { navigation } = useApp();
  const query = useMetrics();
  const [help, setHelp] = useState(false);
  const [keys, setKeys] = useState(false);
  const openHelp = useCallback(() => setHelp(true), []);
  useShortcuts(openHelp);
  const metrics = query.data ?? [];
  const metric = address.metric === null ? firstWithData(metrics) : metrics.find(({ name }) => name === address.metric);

  const isAboutAlerts = address.page === "alerts";

  useEffect(() => {
    if (isAboutAlerts) document.title = "Alerts · Streamgauge";
    else document.title = metric ? `${metric.name} · Streamgauge` : "Streamgauge";
  }, [metric, isAboutAlerts]);

  return (
    <>
      <TopBar metric={isAboutAlerts || isEmpty(metrics) ? undefined : metric} metrics={metrics} onHelp={openHelp} onKeys={() => setKeys(true)} />
      {isAboutAlerts ? <Suspense fallback={<ShellSkeleton />}><AlertsPage /></Suspense> : <Page metric={metric} />}
      <HelpDialog open={help} onClose={() => setHelp(false)} onExplain={() => navigation.explain("")} />
      {keys && <Suspense fallback={null}><KeysDialog onClose={() => setKeys(false)} /></Suspense>}
      {address.explain !== null && <Suspense fallback={null}><ExplainDialog eventId={address.explain} /></Suspense>}
    </>
  );
}

/** One of: not known yet, no server, no such metric, no such filter, no event ever, the dashboard. */
function Page({ metric }: { readonly metric: Metric | undefined }): ReactNode {
  const address = useAddress();
  const { navigation } = useApp();
  const query = useMetrics();
  const first = useFirstEvent(query.data);

  if (query.isPending) return <ShellSkeleton />;
  if (!query.data) return <PageError error={query.error} action="Try again" onAction={() => void query.refetch()} />;
  const names = query.data.map(({ name }) => name).join(", ");
  if (!metric) {
    const missing = new ApiError("unknown_metric", `There is no metric ‘${address.metric ?? ""}’`, `The metrics are: ${names || "none; add a rollup to the configuration"}`, 400);
    return <PageError error={missing} action="Show the first metric" onAction={() => navigation.go({ metric: null, filters: [] })} />;
  }
  if (isEmpty(query.data)) return <><EmptyStart /><div className="page"><DeadLetterPanel whenNone={null} /></div></>;
  const foreign = foreignFilters(metric, address.filters);
  if (foreign.length > 0) {
    const has = metric.dimensions.map(plural).join(", ");
    const wrong = new ApiError("unknown_dimension", `${metric.name} can't be filtered by ${foreign.map(formatFilter).join(", ")}`, `It can be filtered by ${has || "nothing: it has no dimensions"}`, 400);
    return <PageError error={wrong} action="Remove the filter" onAction={() => navigation.go({ filters: address.filters.filter((filter) => !foreign.includes(filter)) })} />;
  }
  return (
    <main className="page" data-testid="dashboard" data-metric={metric.name}>
      <h1 className="visually-hidden">{words(metric.name)}</h1>
      {first.event && <FirstEvent event={first.event} onClose={first.dismiss} />}
      <Dashboard metric={metric} metrics={query.data} />
    </main>
  );
}

function PageError({ error, action, onAction }: { readonly error: Error | null; readonly action: string; readonly onAction: () => void }): ReactNode {
  return (
    <main className="start" role="alert" data-testid="error-state" data-scope="page">
      <ErrorWords error={error} />
      <button type="button" className="button primary" onClick={onAction}>{action}</button>
    </main>
  );
}

function firstWithData(metrics: readonly Metric[]): Metric | undefined {
  return metrics.find(({ lastSeenMs }) => lastSeenMs !== null) ?? metrics[0];
}

/** Whether nothing was ever counted. */
function isEmpty(metrics: readonly Metric[]): boolean {
  return metrics.every(({ lastSeenMs }) => lastSeenMs === null);
}
