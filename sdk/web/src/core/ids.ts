import type { Random } from "./seams";

const COUNT_MAX = 0xfff;

/** UUIDs of version 7 (RFC 9562): in the order of time, and within a millisecond in the order they were made in. */
export function ids(now: () => number, random: Random): () => string {
  let lastMs = 0;
  let count = 0;
  return () => {
    const ms = now();
    if (ms > lastMs) {
      lastMs = ms;
      // The upper half is left for what else is made in this millisecond.
      count = random() & (COUNT_MAX >> 1);
    } else if (++count > COUNT_MAX) {
      lastMs++;
      count = 0;
    }
    const time = hex(lastMs, 12);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(count, 3)}-${hex((random() & 0x3fff) | 0x8000, 4)}-${hex(random(), 8)}${hex(random() & 0xffff, 4)}`;
  };
}

/** When an id was made. */
export function msOf(id: string): number {
  return parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
