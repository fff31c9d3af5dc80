import type { ReactNode } from "react";

const WIDTH = 100;
const HEIGHT = 28;
const TOP = 2;

function line(points: readonly { readonly x: number; readonly y: number }[]): string {
  return points.map(({ x, y }) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" ");
}

interface SparklineProps {
  readonly values: readonly (number | null)[];
  /** The index of the first value that may still grow. */
  readonly filling: number;
  /** The index of the value that is spoken of. */
  readonly marked?: number;
}

/** The shape of a series without its numbers; what is still filling is dashed. The numbers are beside it in words. */
export function Sparkline({ values, filling, marked = -1 }: SparklineProps): ReactNode {
  const highest = Math.max(0, ...values.map((value) => value ?? 0));
  const lowest = Math.min(0, ...values.map((value) => value ?? 0));
  const span = highest - lowest || 1;
  const steps = Math.max(1, values.length - 1);
  const points = values.map((value, index) => ({
    x: (index / steps) * WIDTH,
    y: TOP + (1 - ((value ?? 0) - lowest) / span) * (HEIGHT - 2 * TOP),
  }));
  const mark = points[marked];
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {mark && <line x1={mark.x} x2={mark.x} y1={mark.y} y2={HEIGHT} />}
      <polyline points={line(points.slice(0, filling))} />
      {filling < values.length && <polyline className="filling" points={line(points.slice(Math.max(0, filling - 1)))} />}
    </svg>
  );
}
