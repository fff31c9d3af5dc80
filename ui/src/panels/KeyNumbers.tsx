import type { ReactNode } from "react";
import { ChangeMark, Figure } from "../components/numbers";
import { Sparkline } from "../components/Sparkline";
import type { Address } from "../core/address";
import type { Metric, Series } from "../core/api";
import { lowerWords, words } from "../core/names";
import { type Change, changeBetween, exactNumber, percentText } from "../core/numbers";
import { stepWords } from "../core/ranges";
import { isSessionMetric, ratioOf, ratioSeries } from "../core/sessions";
import { comparable, firstFilling, isAdditive, newest, peak, total } from "../core/series";
import { durationText, hourMinute, spanLabel, stepLabel } from "../core/times";
import { useAddress, useApp, useCompleteUpTo, useSeries } from "../state/hooks";
import { comparisonOf, foreignFilters, nowQuestion, seriesQuestion } from "./questions";
import { unitOf } from "./units";

/** The chosen metric's total, its pace and its peak, and two other metrics: five are as many as one glance takes. */
const OTHERS_MAX = 2;

export function KeyNumbers({ metric, metrics }: { readonly metric: Metric; readonly metrics: readonly Metric[] }): ReactNode {
  const others = metrics.filter((other) => other.name !== metric.name && other.lastSeenMs !== null && !isSessionMetric(other.name));
  return (
    <section className="key-numbers" aria-label="Key numbers">
      <TotalNumber metric={metric} chosen />
      <PaceNumber metric={metric} />
      <PeakNumber metric={metric} />
      {others.slice(0, OTHERS_MAX).map((other) => <TotalNumber key={other.name} metric={other} chosen={false} />)}
      <SessionNumbers metric={metric} metrics={metrics} />
    </section>
  );
}

/** How many sessions, how long, how many left after one page; where sessions know what the page is filtered by. */
function SessionNumbers({ metric, metrics }: { readonly metric: Metric; readonly metrics: readonly Metric[] }): ReactNode {
  const { filters } = useAddress();
  const named = (name: string): Metric | undefined => metrics.find((each) => each.name === name && foreignFilters(each, filters).length === 0);
  const [sessions, seconds, bounces] = [named("sessions"), named("session_seconds"), named("bounces")];
  if (!sessions || sessions.lastSeenMs === null) return null;
  return (
    <>
      {metric.name !== sessions.name && <TotalNumber metric={sessions} chosen={false} />}
      {seconds && <RatioNumber label="Average session" part={seconds} whole={sessions} say={sayDuration} testId="key-number-session-length" />}
      {bounces && <RatioNumber label="Bounce rate" part={bounces} whole={sessions} say={sayShare} testId="key-number-bounce-rate" />}
    </>
  );
}

/** A number in words, short and exact. */
type Say = (value: number) => { readonly short: string; readonly exact: string };

const sayDuration: Say = (seconds) => ({ short: durationText(seconds * 1_000), exact: `${exactNumber(Math.round(seconds * 100) / 100)} seconds` });
const sayShare: Say = (share) => ({ short: percentText(share), exact: `${exactNumber(Math.round(share * 10_000) / 100)} %` });

interface KeyNumberProps {
  readonly label: string;
  readonly value: number | null | undefined;
  readonly say?: Say;
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
  const figure = {
    ...(props.valueTestId ? { testId: props.valueTestId } : {}),
    ...(props.say && typeof value === "number" ? { as: props.say(value) } : {}),
  };
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
  const pair = comparable(query.data, completeUpToMs);
  const before = pair && total(pair.before, metric.measure);
  const mark = pair && changeBetween(total(pair.now, metric.measure), before);
  const against = againstWords(exactNumber(before), query.data, address);
  return (
    <KeyNumber
      {...frame}
      value={total(query.data.points, metric.measure)}
      change={mark ? { mark, against } : null}
      {...(mark ? {} : { note: nothingToCompare(address) })}
      series={query.data}
      filling={firstFilling(query.data, completeUpToMs)}
    />
  );
}

function againstWords(before: string, series: Series, address: Address): string {
  if (!series.earlier) return "";
  return `from ${before} in the same time of ${spanLabel(series.earlier.fromMs, series.earlier.toMs, address.zone)}`;
}

function nothingToCompare(address: Address): string {
  return comparisonOf(address) === "week" ? "nothing a week earlier" : "nothing before to compare";
}

interface RatioProps {
  readonly label: string;
  readonly part: Metric;
  readonly whole: Metric;
  readonly say: Say;
  readonly testId: string;
}

/** One metric by another, over the chosen range. */
function RatioNumber({ label, part, whole, say, testId }: RatioProps): ReactNode {
  const address = useAddress();
  const [partQuestion, wholeQuestion] = [seriesQuestion(part, address), seriesQuestion(whole, address)];
  const [parts, wholes] = [useSeries(partQuestion), useSeries(wholeQuestion)];
  const completeUpToMs = useCompleteUpTo(wholes.data, wholes.dataUpdatedAt);
  const frame = { label, testId, say, stale: parts.isPlaceholderData || wholes.isPlaceholderData };
  if ((parts.isError && !parts.data) || (wholes.isError && !wholes.data)) return <KeyNumber {...frame} value={null} note="no answer" />;
  if (!parts.data || !wholes.data) return <KeyNumber {...frame} value={undefined} />;
  const value = ratioOf(parts.data.points, wholes.data.points);
  if (value === null) return <KeyNumber {...frame} value={null} note="no session has ended here" />;
  const series = ratioSeries(parts.data, wholes.data);
  const partPair = comparable(parts.data, completeUpToMs);
  const wholePair = comparable(wholes.data, completeUpToMs);
  const before = partPair && wholePair ? ratioOf(partPair.before, wholePair.before) : null;
  const mark = partPair && wholePair ? changeBetween(ratioOf(partPair.now, wholePair.now), before) : null;
  const against = before === null ? "" : againstWords(say(before).short, wholes.data, address);
  return (
    <KeyNumber
      {...frame}
      value={value}
      change={mark ? { mark, against } : null}
      {...(mark ? {} : { note: nothingToCompare(address) })}
      series={series}
      filling={firstFilling(series, completeUpToMs)}
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
