import type { ReactNode } from "react";

/** Shapes of what comes. */
export function LineSkeleton(): ReactNode {
  return (
    <div className="skeleton line-skeleton" aria-hidden="true">
      <svg viewBox="0 0 100 40" preserveAspectRatio="none"><polyline points="0,30 8,27 16,28 24,20 32,23 40,14 48,18 56,12 64,17 72,9 80,15 88,11 100,16" /></svg>
    </div>
  );
}

export function DonutSkeleton(): ReactNode {
  return (
    <div className="skeleton donut" aria-hidden="true">
      <svg viewBox="0 0 200 200"><circle cx="100" cy="100" r="66" /></svg>
      <BarSkeleton widths={[90, 70, 60, 50]} />
    </div>
  );
}

const WIDTHS = [96, 74, 58, 44, 33, 24, 16];

export function BarSkeleton({ widths = WIDTHS }: { readonly widths?: readonly number[] }): ReactNode {
  return (
    <div className="skeleton bar-skeleton" aria-hidden="true">
      {widths.map((width) => <span key={width} style={{ width: `${width}%` }} />)}
    </div>
  );
}
