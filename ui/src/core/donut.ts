/** The geometry of a donut, in the units of its viewBox, clockwise from twelve o'clock. */
export interface Arc {
  readonly path: string;
  /** The middle of the arc at `labelRadius`. */
  readonly x: number;
  readonly y: number;
}

export interface Ring {
  readonly centre: number;
  readonly outer: number;
  readonly inner: number;
  readonly labelRadius: number;
}

/** A circle drawn in one arc is nothing, so a whole one stops just before its end. */
const TURN_MAX = 0.999_99;

export function arcsOf(shares: readonly number[], ring: Ring): readonly Arc[] {
  let start = 0;
  return shares.map((share) => {
    const end = start + Math.min(share, TURN_MAX);
    const arc = arcBetween(start, end, ring);
    start += share;
    return arc;
  });
}

function arcBetween(start: number, end: number, ring: Ring): Arc {
  const large = end - start > 0.5 ? 1 : 0;
  const at = (turn: number, radius: number): readonly [number, number] => [
    round(ring.centre + radius * Math.sin(turn * 2 * Math.PI)),
    round(ring.centre - radius * Math.cos(turn * 2 * Math.PI)),
  ];
  const [a, b, c, d] = [at(start, ring.outer), at(end, ring.outer), at(end, ring.inner), at(start, ring.inner)];
  const path =
    `M${a.join(" ")}A${ring.outer} ${ring.outer} 0 ${large} 1 ${b.join(" ")}` +
    `L${c.join(" ")}A${ring.inner} ${ring.inner} 0 ${large} 0 ${d.join(" ")}Z`;
  const [x, y] = at((start + end) / 2, ring.labelRadius);
  return { path, x, y };
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
