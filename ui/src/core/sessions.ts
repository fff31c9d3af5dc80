/** Sessions are metrics of their own: counted when they end, and stamped with the minute in which they began. */
import type { Point, Series } from "./api";

const SESSION_METRICS: ReadonlySet<string> = new Set(["sessions", "session_seconds", "bounces"]);

/** Its answers are complete to an earlier time than the stream: to the start of the oldest open session. */
export function isSessionMetric(name: string): boolean {
  return SESSION_METRICS.has(name);
}

interface Pair {
  readonly timestampMs: number;
  readonly part: number;
  readonly whole: number;
}

/** The steps that both have: two answers may be from either side of a minute. */
function pairsOf(parts: readonly Point[], wholes: readonly Point[]): readonly Pair[] {
  const partAt = new Map(parts.map(({ timestampMs, value }) => [timestampMs, value ?? 0]));
  return wholes.flatMap(({ timestampMs, value }) => {
    const part = partAt.get(timestampMs);
    return part === undefined ? [] : [{ timestampMs, part, whole: value ?? 0 }];
  });
}

/** The sum of the parts by that of the wholes; null where there is nothing to divide by. */
export function ratioOf(parts: readonly Point[], wholes: readonly Point[]): number | null {
  const pairs = pairsOf(parts, wholes);
  const whole = pairs.reduce((sum, pair) => sum + pair.whole, 0);
  return whole > 0 ? pairs.reduce((sum, pair) => sum + pair.part, 0) / whole : null;
}

/** Step by step, for a line. */
export function ratioSeries(parts: Series, wholes: Series): Series {
  const points = pairsOf(parts.points, wholes.points).map(({ timestampMs, part, whole }) => ({ timestampMs, value: whole > 0 ? part / whole : null }));
  return { ...wholes, points };
}
