import { type KeyboardEvent, type ReactNode, type RefObject, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Metric, Series } from "../core/api";
import { changeBetween, compactNumber, exactNumber } from "../core/numbers";
import { drawnRuns, earlierPoints, firstFilling } from "../core/series";
import type { Firing } from "../core/timeline";
import { stepLabel } from "../core/times";
import { useApp } from "../state/hooks";
import { type Plot, createPlot } from "./plot";
import { axisUnit } from "./units";

interface ChartProps {
  readonly metric: Metric;
  readonly series: Series;
  /** Whether what the series is compared with is drawn beside it. */
  readonly compares: boolean;
  readonly completeUpToMs: number | null;
  /** When alerts about the metric fired. */
  readonly firings: readonly Firing[];
  readonly zone: string | null;
  readonly label: string;
  readonly onZoom: (startMs: number, endMs: number) => void;
  readonly onDrag: (dragging: boolean) => void;
  readonly canvas: RefObject<HTMLCanvasElement | null>;
}

interface Pointed {
  readonly index: number;
  readonly left: number;
}

export default function TimeSeriesChart(props: ChartProps): ReactNode {
  const { series, compares, completeUpToMs, firings, zone } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const latest = useRef(props);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const whole = props.metric.measure.kind === "count";
  const keyboard = useChartKeys(plot, props);
  const { theme } = useApp();

  useLayoutEffect(() => {
    latest.current = props;
  });

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = createPlot(element, {
      onPoint: setPointed,
      onZoom: (start, end) => latest.current.onZoom(start, end),
      onDrag: (dragging) => latest.current.onDrag(dragging),
    });
    plot.current = made;
    latest.current.canvas.current = made.canvas;
    const watcher = new ResizeObserver(() => made.resize(element.clientWidth));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);

  useLayoutEffect(() => {
    plot.current?.show({ ...drawnRuns(series, compares, completeUpToMs), whole }, zone);
  }, [series, compares, completeUpToMs, zone, whole]);

  useLayoutEffect(() => {
    plot.current?.mark(firings);
  }, [firings]);

  useEffect(() => {
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    const recolour = (): void => plot.current?.recolour();
    scheme.addEventListener("change", recolour);
    const forget = theme.subscribe(recolour);
    return () => {
      scheme.removeEventListener("change", recolour);
      forget();
    };
  }, [theme]);

  return (
    <div className="chart">
      <p className="chart-unit" aria-hidden="true">{axisUnit(props.metric, series.stepMs)}</p>
      <div
        className="chart-box"
        ref={box}
        // A chart takes the arrow keys itself, as a slider does; the table beside it is for reading.
        role="application"
        tabIndex={0}
        aria-label={`${props.label}. Arrow keys read the points, with Shift they select, Enter zooms in.`}
        onKeyDown={keyboard.onKeyDown}
        onBlur={keyboard.leave}
      >
        {pointed && <Tooltip {...props} pointed={pointed} />}
      </div>
      <div className="visually-hidden" aria-live="polite">{keyboard.spoken}</div>
    </div>
  );
}

interface ChartKeys {
  readonly spoken: string;
  readonly onKeyDown: (event: KeyboardEvent) => void;
  readonly leave: () => void;
}

function useChartKeys(plot: RefObject<Plot | null>, { series, completeUpToMs, zone, onZoom }: ChartProps): ChartKeys {
  const [at, setAt] = useState<number | null>(null);
  const [anchor, setAnchor] = useState<number | null>(null);
  const last = series.points.length - 1;

  const leave = (): void => {
    if (at === null) return;
    setAt(null);
    setAnchor(null);
    plot.current?.pointAt(null);
    plot.current?.select(0, 0);
  };
  const move = (index: number, selecting: boolean): void => {
    const start = selecting ? (anchor ?? at ?? index) : null;
    setAt(index);
    setAnchor(start);
    plot.current?.pointAt(index);
    plot.current?.select(start ?? index, index);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const from = at ?? last + 1;
    const target = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last, PageUp: from - 10, PageDown: from + 10 }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      move(Math.max(0, Math.min(last, target)), event.shiftKey);
    } else if (event.key === "Enter" && at !== null) {
      const [one, other] = [series.points[anchor ?? at], series.points[at]];
      leave();
      if (one && other) onZoom(one.timestampMs, other.timestampMs);
    } else if (event.key === "Escape" && at !== null) {
      event.stopPropagation();
      leave();
    }
  };
  const point = at === null ? undefined : series.points[at];
  const filling = at !== null && at >= firstFilling(series, completeUpToMs) ? ", still filling" : "";
  const spoken = point ? `${stepLabel(point.timestampMs, series.stepMs, zone)}: ${exactNumber(point.value)}${filling}` : "";
  return { spoken, onKeyDown, leave };
}

function Tooltip({ metric, series, compares, completeUpToMs, zone, pointed }: ChartProps & { readonly pointed: Pointed }): ReactNode {
  const point = series.points[pointed.index];
  if (!point) return null;
  const before = compares ? earlierPoints(series)[pointed.index] : undefined;
  const filling = pointed.index >= firstFilling(series, completeUpToMs);
  const change = before && !filling ? changeBetween(point.value, before.value) : null;
  const side = pointed.index > series.points.length / 2 ? "tooltip-left" : "tooltip-right";
  return (
    <div className={`tooltip ${side}`} style={{ left: pointed.left }} data-testid="tooltip">
      <p className="tooltip-time">{stepLabel(point.timestampMs, series.stepMs, zone)}</p>
      <p className="tooltip-value"><strong>{exactNumber(point.value)}</strong> {axisUnit(metric, series.stepMs).replace(/ (per|in each) .*/, "")}</p>
      {before && (
        <p className="tooltip-before">
          {stepLabel(before.timestampMs, series.stepMs, zone)}: {compactNumber(before.value)}{change ? ` (${change.text})` : ""}
        </p>
      )}
      {filling && <p className="tooltip-filling">still filling</p>}
    </div>
  );
}
