import { type ReactNode, Suspense, lazy, useRef, useState } from "react";
import { fileName, copyText, saveText, serverOrigin } from "../components/files";
import { Figure } from "../components/numbers";
import { Panel } from "../components/Panel";
import { savePicture, themeColour } from "../components/picture";
import { LineSkeleton } from "../components/Skeletons";
import { formatInstant } from "../core/address";
import { type Metric, type Series, questionPath } from "../core/api";
import { csv } from "../core/csv";
import { curlQuestion } from "../core/curl";
import { formatFilter } from "../core/filters";
import { words } from "../core/names";
import { exactNumber } from "../core/numbers";
import { COMPARISONS, type Comparison, type Range, durationWords, zoomSpan } from "../core/ranges";
import { untilLoaded } from "../core/retry";
import { firstFilling, isSilent, total } from "../core/series";
import { fullTime, spanLabel, zoneLabel } from "../core/times";
import { useFirings } from "../state/alerting";
import { useAddress, useApp, useCompleteUpTo, useSeries } from "../state/hooks";
import { FiringsNote } from "./FiringsNote";
import { PLOT_HEIGHT_CSS } from "./sizes";
import { seriesQuestion } from "./questions";
import { SilenceNote } from "./SilenceNote";
import { axisUnit } from "./units";

const TimeSeriesChart = lazy(() => untilLoaded(() => import("./TimeSeriesChart")));

export function TimeSeriesPanel({ metric }: { readonly metric: Metric }): ReactNode {
  const address = useAddress();
  const { navigation, refresher } = useApp();
  const question = seriesQuestion(metric, address);
  const query = useSeries(question);
  const completeUpToMs = useCompleteUpTo(query.data, query.dataUpdatedAt);
  const firings = useFirings(metric.name);
  const [asTable, setAsTable] = useState(false);
  const canvas = useRef<HTMLCanvasElement>(null);
  const path = questionPath(question);
  const title = words(metric.name);

  const zoom = (startMs: number, endMs: number): void => {
    if (query.data) navigation.go({ range: { kind: "between", ...zoomSpan(startMs, endMs, query.data.stepMs) } });
  };
  const name = fileName([metric.name, rangeName(address.range)], "");
  const saveCsv = (): void => {
    const compared = address.compare === null ? [] : [`${metric.name} ${comparedWords(address.compare, address.range).toLowerCase()}`];
    const rows = query.data?.points.map((point) => [formatInstant(point.timestampMs), point.value, ...compared.map(() => point.compared ?? null)]) ?? [];
    saveText(`${name}csv`, csv(["timestamp", metric.name, ...compared], rows));
  };
  const savePng = (): void => {
    if (!canvas.current || !query.data) return;
    const about = [axisUnit(metric, query.data.stepMs), zoneLabel(address.zone, query.data.toMs), ...address.filters.map(formatFilter)];
    savePicture(`${name}png`, canvas.current, canvas.current.clientWidth, PLOT_HEIGHT_CSS, {
      title: `${title}, ${spanLabel(query.data.fromMs, query.data.toMs, address.zone)}`,
      lines: [
        { text: about.join(" · "), colour: themeColour("--accent") },
        ...(address.compare ? [{ text: comparedWords(address.compare, address.range), colour: themeColour("--faint") }] : []),
      ],
    });
  };

  return (
    <Panel
      testId="time-series"
      className="panel-wide"
      title={title}
      note={query.data && zoneLabel(address.zone, query.data.toMs)}
      value={query.data && <Figure value={total(query.data.points, metric.measure)} className="panel-value" />}
      controls={
        <div className="compare" role="group" aria-label="Compare with">
          {COMPARISONS.map((each) => (
            <button
              type="button"
              key={each}
              className="toggle-button"
              data-testid={`compare-${each}`}
              aria-pressed={address.compare === each}
              onClick={() => navigation.adjust({ compare: address.compare === each ? null : each })}
            >
              <span className="key-before" aria-hidden="true" />{comparedWords(each, address.range)}
            </button>
          ))}
        </div>
      }
      menu={{
        label: `Menu of ${title}`,
        items: [
          { label: asTable ? "Show as chart" : "Show as table", run: () => setAsTable(!asTable) },
          { label: "Download CSV", run: saveCsv },
          ...(asTable ? [] : [{ label: "Save as PNG", run: savePng }]),
          { label: "Copy query as curl", run: () => copyText(curlQuestion(serverOrigin(), path)), done: "Copied" },
        ],
      }}
      query={query}
      skeleton={<LineSkeleton />}
      foot={query.data && <><FiringsNote firings={firings} /><FillingKey series={query.data} completeUpToMs={completeUpToMs} /></>}
    >
      {(series) => (
        <>
          {isSilent(series) && <SilenceNote metric={metric} />}
          {!asTable && (
            <Suspense fallback={<LineSkeleton />}>
              <TimeSeriesChart
                metric={metric}
                series={series}
                compares={address.compare !== null}
                completeUpToMs={completeUpToMs}
                firings={firings}
                zone={address.zone}
                label={`Line chart: ${axisUnit(metric, series.stepMs)}, ${spanLabel(series.fromMs, series.toMs, address.zone)}`}
                onZoom={zoom}
                onDrag={(dragging) => refresher.hold(dragging)}
                canvas={canvas}
              />
            </Suspense>
          )}
          <SeriesTable metric={metric} series={series} completeUpToMs={completeUpToMs} zone={address.zone} visible={asTable} />
        </>
      )}
    </Panel>
  );
}

interface TableProps {
  readonly metric: Metric;
  readonly series: Series;
  readonly completeUpToMs: number | null;
  readonly zone: string | null;
  readonly visible: boolean;
}

/** The same points in words: for screen readers always, for everybody on request. */
function SeriesTable({ metric, series, completeUpToMs, zone, visible }: TableProps): ReactNode {
  const filling = firstFilling(series, completeUpToMs);
  return (
    <div className={visible ? "table-scroll" : "visually-hidden"} tabIndex={visible ? 0 : undefined}>
      <table className="plain-table" data-testid="time-series-table">
        <caption className="visually-hidden">{axisUnit(metric, series.stepMs)}, times in {zoneLabel(zone, series.toMs)}</caption>
        <thead><tr><th scope="col">From</th><th scope="col" className="number">{words(metric.name)}</th><th scope="col">State</th></tr></thead>
        <tbody>
          {series.points.map((point, index) => (
            <tr key={point.timestampMs} data-timestamp={formatInstant(point.timestampMs)} data-exact={point.value ?? ""} data-filling={index >= filling}>
              <th scope="row">{fullTime(point.timestampMs, zone)}</th>
              <td className="number">{exactNumber(point.value)}</td>
              <td>{index >= filling ? "still filling" : "complete"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function FillingKey({ series, completeUpToMs }: { readonly series: Series; readonly completeUpToMs: number | null }): ReactNode {
  if (firstFilling(series, completeUpToMs) >= series.points.length) return null;
  return <span className="filling-key"><span className="key-filling" aria-hidden="true" />still filling</span>;
}

function rangeName(range: Range): string {
  return range.kind === "last" ? range.last : `${formatInstant(range.fromMs)}_${formatInstant(range.toMs)}`;
}

function comparedWords(comparison: Comparison, range: Range): string {
  if (comparison === "week") return "Week earlier";
  return range.kind === "last" ? `Previous ${durationWords(range.last)}` : "Period before";
}
