import type { ReactNode } from "react";

const WIDTH = 100;
const HEIGHT = 28;
const TOP = 2;

function line(points: readonly { readonly x: number; readonly y: number }[]): string {
  return points.map(({ x, y }) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" ");
}

/** The shape of a series without its numbers; what is still filling is dashed. The numbers are beside it in words. */
export function Sparkline({ values, filling }: { readonly values: readonly (number | null)[]; readonly filling: number }): ReactNode {
  const highest = Math.max(0, ...values.map((value) => value ?? 0));
  const lowest = Math.min(0, ...values.map((value) => value ?? 0));
  const span = highest - lowest || 1;
  const steps = Math.max(1, values.length - 1);
  const points = values.map((value, index) => ({
    x: (index / steps) * WIDTH,
    y: TOP + (1 - ((value ?? 0) - lowest) / span) * (HEIGHT - 2 * TOP),
  }));
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <polyline points={line(points.slice(0, filling))} />
      {filling < values.length && <polyline className="filling" points={line(points.slice(Math.max(0, filling - 1)))} />}
    </svg>
  );
}
