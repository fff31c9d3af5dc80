import type { ReactNode } from "react";
import { ChangeMark, Figure } from "../components/numbers";
import { Sparkline } from "../components/Sparkline";
import type { Metric, Series } from "../core/api";
import { lowerWords, words } from "../core/names";
import { type Change, changeBetween, exactNumber } from "../core/numbers";
import { stepWords } from "../core/ranges";
import { comparable, firstFilling, isAdditive, newest, peak, total } from "../core/series";
import { hourMinute, spanLabel, stepLabel } from "../core/times";
import { useAddress, useApp, useCompleteUpTo, usePreviousSeries, useSeries } from "../state/hooks";
import { foreignFilters, nowQuestion, seriesQuestion } from "./questions";
import { unitOf } from "./units";

/** The chosen metric's total, its pace and its peak, and two other metrics: five are as many as one glance takes. */
const OTHERS_MAX = 2;

export function KeyNumbers({ metric, metrics }: { readonly metric: Metric; readonly metrics: readonly Metric[] }): ReactNode {
  const others = metrics.filter((other) => other.name !== metric.name && other.lastSeenMs !== null);
  return (
    <section className="key-numbers" aria-label="Key numbers">
      <TotalNumber metric={metric} chosen />
      <PaceNumber metric={metric} />
      <PeakNumber metric={metric} />
      {others.slice(0, OTHERS_MAX).map((other) => <TotalNumber key={other.name} metric={other} chosen={false} />)}
    </section>
  );
}

interface KeyNumberProps {
  readonly label: string;
  readonly value: number | null | undefined;
  readonly change?: { readonly mark: Change; readonly against: string } | null;
  readonly note?: string;
  readonly series?: Series | undefined;
  readonly filling?: number;
  readonly marked?: number;
  readonly stale: boolean;
  readonly testId: string;
  readonly valueTestId?: string;
  readonly metricName?: string;
  readonly onChoose?: () => void;
}

function KeyNumber(props: KeyNumberProps): ReactNode {
  const { value, series } = props;
  const figure = props.valueTestId ? { testId: props.valueTestId } : {};
  return (
    <div className={`key-number ${props.stale ? "dimmed" : ""}`} data-testid={props.testId} data-metric={props.metricName}>
      <h2 className="key-label">
        {props.onChoose ? <button type="button" className="link-button" onClick={props.onChoose} title={`Show ${props.label}`}>{props.label}</button> : props.label}
      </h2>
      {value === undefined ? <span className="skeleton key-skeleton" aria-hidden="true" /> : <Figure value={value} className="key-figure" {...figure} />}
      <p className="key-note">
        {props.change && <ChangeMark change={props.change.mark} against={props.change.against} />}
        {props.note && <span>{props.note}</span>}
      </p>
      {series && <Sparkline values={series.points.map((point) => point.value)} filling={props.filling ?? series.points.length} marked={props.marked ?? -1} />}
    </div>
  );
}

function TotalNumber({ metric, chosen }: { readonly metric: Metric; readonly chosen: boolean }): ReactNode {
  const address = useAddress();
  const { navigation } = useApp();
  const foreign = foreignFilters(metric, address.filters);
  const question = seriesQuestion(metric, address);
  const query = useSeries(question, foreign.length === 0);
  const previous = usePreviousSeries(question, foreign.length === 0 ? query.data : undefined);
  const completeUpToMs = useCompleteUpTo(query.data, query.dataUpdatedAt);
  const choose = (): void => navigation.go({ metric: metric.name, filters: address.filters.filter((filter) => !foreign.includes(filter)) });
  const frame = {
    label: isAdditive(metric.measure) ? unitOf(metric) : words(metric.name),
    testId: "key-number",
    metricName: metric.name,
    stale: query.isPlaceholderData,
    ...(chosen ? { valueTestId: "headline-total" } : { onChoose: choose }),
  };
  if (foreign.length > 0) return <KeyNumber {...frame} stale={false} value={null} note={`has no ${foreign.map((filter) => filter.dimension).join(", ")}`} />;
  if (query.isError && !query.data) return <KeyNumber {...frame} value={null} note="no answer" />;
  if (!query.data) return <KeyNumber {...frame} value={undefined} />;
  const pair = previous.data ? comparable(query.data, previous.data, completeUpToMs) : null;
  const before = pair && total(pair.before, metric.measure);
  const mark = pair && changeBetween(total(pair.now, metric.measure), before);
  const against = previous.data ? `from ${exactNumber(before)} in the same time of ${spanLabel(previous.data.fromMs, previous.data.toMs, address.zone)}` : "";
  return (
    <KeyNumber
      {...frame}
      value={total(query.data.points, metric.measure)}
      change={mark ? { mark, against } : null}
      {...(mark ? {} : { note: previous.data ? "nothing before to compare" : "" })}
      series={query.data}
      filling={firstFilling(query.data, completeUpToMs)}
    />
  );
}

/** The newest complete minute against the half hour before it. */
function PaceNumber({ metric }: { readonly metric: Metric }): ReactNode {
  const { filters, zone } = useAddress();
  const query = useSeries(nowQuestion(metric, filters));
  const completeUpToMs = useCompleteUpTo(query.data, query.dataUpdatedAt);
  const series = query.data;
  const step = stepWords(series?.stepMs ?? 60_000);
  const label = isAdditive(metric.measure) ? `Per ${step} now` : `In the last ${step}`;
  const frame = { label, testId: "key-number-pace", stale: query.isPlaceholderData };
  if (query.isError && !series) return <KeyNumber {...frame} value={null} note="no answer" />;
  if (!series) return <KeyNumber {...frame} value={undefined} />;
  const latest = newest(series, completeUpToMs);
  const mark = latest && changeBetween(latest.point.value, latest.mean);
  const against = `from a mean of ${exactNumber(latest?.mean === null || !latest ? null : Math.round(latest.mean * 10) / 10)} in the half hour before`;
  const note = latest ? `${hourMinute(latest.point.timestampMs, zone)}–${hourMinute(latest.point.timestampMs + series.stepMs, zone)}` : "first one is filling";
  return (
    <KeyNumber
      {...frame}
      value={latest?.point.value ?? null}
      change={mark ? { mark, against } : null}
      note={note}
      series={series}
      filling={firstFilling(series, completeUpToMs)}
    />
  );
}

function PeakNumber({ metric }: { readonly metric: Metric }): ReactNode {
  const address = useAddress();
  const query = useSeries(seriesQuestion(metric, address));
  const completeUpToMs = useCompleteUpTo(query.data, query.dataUpdatedAt);
  const series = query.data;
  const highest = series ? peak(series.points) : null;
  const step = stepWords(series?.stepMs ?? 0);
  const frame = { label: series ? `Busiest ${step}` : `Busiest ${lowerWords("step")}`, testId: "key-number-peak", stale: query.isPlaceholderData };
  if (query.isError && !series) return <KeyNumber {...frame} value={null} note="no answer" />;
  if (!series) return <KeyNumber {...frame} value={undefined} />;
  return (
    <KeyNumber
      {...frame}
      label={isAdditive(metric.measure) ? frame.label : `Highest ${step}`}
      value={highest?.value ?? null}
      note={highest && highest.value ? stepLabel(highest.timestampMs, series.stepMs, address.zone) : "none"}
      {...(highest?.value ? { series, filling: firstFilling(series, completeUpToMs), marked: series.points.indexOf(highest) } : {})}
    />
  );
}
