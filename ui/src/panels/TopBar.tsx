import { type ReactNode, useState } from "react";
import { Icon, Mark } from "../components/icons";
import type { Metric } from "../core/api";
import { words } from "../core/names";
import { zoneLabel } from "../core/times";
import { useAddress, useApp, useTheme } from "../state/hooks";
import { FilterBox } from "./FilterBox";
import { LiveStatus } from "./LiveStatus";
import { Pages } from "./Pages";
import { foreignFilters } from "./questions";
import { RangePicker } from "./RangePicker";

interface TopBarProps {
  /** None: there is nothing to choose from yet. */
  readonly metric: Metric | undefined;
  readonly metrics: readonly Metric[];
  readonly onHelp: () => void;
  readonly onKeys: () => void;
}

export function TopBar({ metric, metrics, onHelp, onKeys }: TopBarProps): ReactNode {
  const { page } = useAddress();
  return (
    <header className="top">
      <div className="top-row">
        <a className="brand" href="." aria-label="Streamgauge, start page"><Mark /><span>Streamgauge</span></a>
        <Pages />
        {metric && <MetricPicker metric={metric} metrics={metrics} />}
        {(metric || page === "alerts") && <RangePicker />}
        <span className="spacer" />
        <LiveStatus />
        <div className="top-tools">
          <ThemeButton />
          <ExplainButton />
          <button type="button" className="icon-button" aria-label="Keys" title="Keys" data-testid="keys-open" onClick={onKeys}><Icon name="key" /></button>
          <button type="button" className="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={onHelp}><Icon name="keyboard" /></button>
        </div>
      </div>
      {metric && (
        <div className="top-row top-filters">
          <FilterBox metric={metric} />
          <span className="spacer" />
          <ZoneButton />
        </div>
      )}
    </header>
  );
}

function MetricPicker({ metric, metrics }: { readonly metric: Metric; readonly metrics: readonly Metric[] }): ReactNode {
  const { filters } = useAddress();
  const { navigation } = useApp();
  const choose = (name: string): void => {
    const chosen = metrics.find((each) => each.name === name);
    if (!chosen) return;
    const foreign = foreignFilters(chosen, filters);
    navigation.go({ metric: name, filters: filters.filter((filter) => !foreign.includes(filter)) });
  };
  return (
    <label className="metric-picker">
      <span className="visually-hidden">Metric</span>
      <select id="metric-picker" data-testid="metric-picker" value={metric.name} onChange={(event) => choose(event.target.value)}>
        {metrics.map((each) => <option key={each.name} value={each.name}>{words(each.name)}</option>)}
      </select>
      <Icon name="chevron" />
    </label>
  );
}

const THEME_WORDS = { system: "as the system's", light: "light", dark: "dark" } as const;

function ThemeButton(): ReactNode {
  const { theme } = useApp();
  const chosen = useTheme();
  const label = `Theme: ${THEME_WORDS[chosen]}`;
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} data-testid="theme-toggle" data-theme-choice={chosen} onClick={theme.next}>
      <Icon name={chosen} />
    </button>
  );
}

function ExplainButton(): ReactNode {
  const { navigation } = useApp();
  return (
    <button type="button" className="icon-button" aria-label="Explain an event" title="Explain an event (e)" data-testid="explain-open" onClick={() => navigation.explain("")}>
      <Icon name="explain" />
    </button>
  );
}

export function ZoneButton(): ReactNode {
  const { zone } = useAddress();
  const { navigation } = useApp();
  const [now] = useState(Date.now);
  const other = zone === null ? "UTC" : null;
  return (
    <button type="button" className="quiet-button zone" title={`Show times in ${other ?? "the local zone"}`} data-testid="zone" onClick={() => navigation.adjust({ zone: other })}>
      {zoneLabel(zone, now)}
    </button>
  );
}
