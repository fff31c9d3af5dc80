/** The time series chart: uPlot, set up once. Framework-free; the panel around it holds the words and the keyboard. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { themeColour } from "../components/picture";
import { compactNumber, niceCeiling } from "../core/numbers";
import { axisLabel } from "../core/times";
import { PLOT_HEIGHT_CSS } from "./sizes";

export interface PlotData {
  readonly xs: readonly number[];
  readonly sure: readonly (number | null)[];
  readonly filling: readonly (number | null)[];
  readonly before: readonly (number | null)[];
  /** Whether there are no values between whole numbers. */
  readonly whole: boolean;
}

/** A time that is marked: something fired. */
export interface PlotMark {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface PlotHooks {
  /** The point under the cursor and where it is, in pixels of the chart's box; null: none. */
  readonly onPoint: (at: { readonly index: number; readonly left: number } | null) => void;
  /** A drag from one time to another. */
  readonly onZoom: (startMs: number, endMs: number) => void;
  /** A drag has begun or ended: data should keep still meanwhile. */
  readonly onDrag: (dragging: boolean) => void;
}

export interface Plot {
  show(data: PlotData, zone: string | null): void;
  mark(marks: readonly PlotMark[]): void;
  resize(width: number): void;
  recolour(): void;
  pointAt(index: number | null): void;
  select(from: number, to: number): void;
  readonly canvas: HTMLCanvasElement;
  destroy(): void;
}


const AXIS_WIDTH = 48;
/** Distances of the lines of the grid. */
const INCREMENTS = Array.from({ length: 24 }, (_, power) => [1, 2, 2.5, 5].map((factor) => factor * 10 ** (power - 6))).flat();
const WHOLE_INCREMENTS = INCREMENTS.filter((increment) => increment >= 1 && increment !== 2.5);
const BEFORE = 1;
const FILLING = 3;

export function createPlot(box: HTMLElement, hooks: PlotHooks): Plot {
  let zone: string | null = null;
  let increments = INCREMENTS;
  let marks: readonly PlotMark[] = [];
  let colours = readColours();
  const font = `12px ${getComputedStyle(box).fontFamily}`;
  const line = { points: { show: false }, spanGaps: false } as const;
  const options: uPlot.Options = {
    width: box.clientWidth,
    height: PLOT_HEIGHT_CSS,
    padding: [12, 20, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false, dist: 5 },
      points: { size: 8, width: 2, fill: () => colours.panel, stroke: (_, series) => (series === BEFORE ? colours.before : colours.accent) },
    },
    scales: { x: { time: true, range: (_, min, max) => (min === max ? [min - 60, max + 60] : [min, max]) }, y: { range: heights } },
    axes: [
      {
        font,
        stroke: () => colours.muted,
        grid: { show: false },
        ticks: { stroke: () => colours.hairline, width: 1, size: 4 },
        space: 72,
        gap: 6,
        size: 32,
        values: (_, splits, __, ___, increment) => splits.map((second) => axisLabel(second * 1_000, increment * 1_000, zone)),
      },
      {
        font,
        stroke: () => colours.muted,
        grid: { stroke: () => colours.hairline, width: 1 },
        ticks: { show: false },
        space: 44,
        gap: 8,
        size: AXIS_WIDTH,
        incrs: () => increments,
        values: (_, splits) => splits.map((value) => compactNumber(value)),
      },
    ],
    series: [
      {},
      { ...line, stroke: () => colours.before, width: 1.5, dash: [3, 3] },
      { ...line, stroke: () => colours.accent, width: 2, fill: () => colours.wash },
      {
        spanGaps: false,
        stroke: () => colours.accent,
        width: 2,
        dash: [5, 4],
        points: { show: true, size: 7, width: 2, fill: () => colours.panel, stroke: () => colours.accent, filter: hollowPoints },
      },
    ],
    hooks: {
      drawClear: [(plot) => drawMarks(plot, marks, colours.bad)],
      setCursor: [(plot) => hooks.onPoint(typeof plot.cursor.idx === "number" ? { index: plot.cursor.idx, left: leftOf(plot, plot.cursor.idx) } : null)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 1) return;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          hooks.onZoom(plot.posToVal(left, "x") * 1_000, plot.posToVal(left + width, "x") * 1_000);
        },
      ],
    },
    tzDate: (second) => (zone ? uPlot.tzDate(new Date(second * 1_000), zone) : new Date(second * 1_000)),
  };
  const plot = new uPlot(options, [[], [], [], []], box);
  const press = (): void => hooks.onDrag(true);
  const release = (): void => hooks.onDrag(false);
  plot.over.addEventListener("mousedown", press);
  document.addEventListener("mouseup", release);

  return {
    canvas: plot.ctx.canvas,
    show(data, shownZone) {
      zone = shownZone;
      increments = data.whole ? WHOLE_INCREMENTS : INCREMENTS;
      plot.setData([[...data.xs], [...data.before], [...data.sure], [...data.filling]]);
    },
    mark(shown) {
      marks = shown;
      plot.redraw(false, false);
    },
    resize: (width) => plot.setSize({ width, height: PLOT_HEIGHT_CSS }),
    recolour() {
      colours = readColours();
      plot.redraw(false, true);
    },
    pointAt(index) {
      const left = index === null ? -10 : leftOf(plot, index) - plot.bbox.left / uPlot.pxRatio;
      plot.setCursor({ left, top: index === null ? -10 : plot.bbox.height / uPlot.pxRatio / 2 });
    },
    select(from, to) {
      const [a, b] = [leftOf(plot, from), leftOf(plot, to)].map((left) => left - plot.bbox.left / uPlot.pxRatio);
      const [left, right] = [Math.min(a ?? 0, b ?? 0), Math.max(a ?? 0, b ?? 0)];
      const height = from === to ? 0 : plot.bbox.height / uPlot.pxRatio;
      plot.setSelect({ left, top: 0, width: right - left, height }, false);
    },
    destroy() {
      document.removeEventListener("mouseup", release);
      plot.destroy();
    },
  };
}

/** Pixels from the left edge of the chart's box. */
function leftOf(plot: uPlot, index: number): number {
  return plot.bbox.left / uPlot.pxRatio + plot.valToPos(plot.data[0][index] ?? 0, "x");
}

const MARK_EDGE_CSS = 3;
const MARK_WIDTH_CSS = 4;
const MARK_WASH = 0.12;

/** Behind the line: a wash, and an edge above it that is seen where the wash is too narrow to be. */
function drawMarks(plot: uPlot, marks: readonly PlotMark[], colour: string): void {
  const { ctx, bbox } = plot;
  if (marks.length === 0 || plot.data[0].length === 0) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = colour;
  for (const { fromMs, toMs } of marks) {
    // The axis ends where the last step begins: what fired within it is marked at its point.
    const left = Math.min(plot.valToPos(fromMs / 1_000, "x", true), bbox.left + bbox.width - MARK_WIDTH_CSS * uPlot.pxRatio);
    const width = Math.max(MARK_WIDTH_CSS * uPlot.pxRatio, plot.valToPos(toMs / 1_000, "x", true) - left);
    ctx.globalAlpha = MARK_WASH;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, bbox.top, width, MARK_EDGE_CSS * uPlot.pxRatio);
  }
  ctx.restore();
}

/** From zero to a round number over the highest value, so that the axis changes seldom. */
function heights(_: uPlot, min: number | null, max: number | null): [number, number] {
  const top = niceCeiling(max ?? 0);
  return [min !== null && min < 0 ? -niceCeiling(-min) : 0, max !== null && max > 0 ? top : 1];
}

/** A hollow point on each step that is still filling; the first index only joins the lines. */
function hollowPoints(plot: uPlot): number[] {
  const values = Array.from(plot.data[FILLING] ?? []);
  const sure = plot.data[FILLING - 1] ?? [];
  return values.flatMap((value, index) => (value !== null && value !== undefined && (sure[index] ?? null) === null ? [index] : []));
}

function readColours(): Record<"accent" | "wash" | "muted" | "hairline" | "before" | "panel" | "bad", string> {
  return {
    accent: themeColour("--accent"),
    wash: themeColour("--accent-wash"),
    muted: themeColour("--muted"),
    hairline: themeColour("--hairline"),
    before: themeColour("--faint"),
    panel: themeColour("--panel"),
    bad: themeColour("--bad"),
  };
}
