/** Times in the chosen zone, with the zone shown. */
import { DAY_MS, HOUR_MS, MINUTE_MS } from "./ranges";

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a format is a thousand times as slow as using it. */
function format(key: string, zone: string | null, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const id = `${key} ${zone ?? ""}`;
  let made = formats.get(id);
  if (!made) {
    made = new Intl.DateTimeFormat("en-GB", { ...options, ...(zone ? { timeZone: zone } : {}) });
    formats.set(id, made);
  }
  return made;
}

/** `12:03:00` */
export function clock(ms: number, zone: string | null): string {
  return format("clock", zone, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(ms);
}

/** `12:03` */
export function hourMinute(ms: number, zone: string | null): string {
  return format("minute", zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(ms);
}

/** `3 Jun` */
export function dayMonth(ms: number, zone: string | null): string {
  return format("day", zone, { day: "numeric", month: "short" }).format(ms);
}

/** `Tue 3 Jun` */
export function weekday(ms: number, zone: string | null): string {
  return format("weekday", zone, { weekday: "short", day: "numeric", month: "short" }).format(ms).replace(",", "");
}

/** `3 Jun 2026, 12:03:00`: nothing is left to guess. */
export function fullTime(ms: number, zone: string | null): string {
  return `${format("date", zone, { day: "numeric", month: "short", year: "numeric" }).format(ms)}, ${clock(ms, zone)}`;
}

/** A step as people say it: `Tue 3 Jun, 12:10–12:20`, `Tue 3 Jun`, `12:03–12:04`. */
export function stepLabel(startMs: number, stepMs: number, zone: string | null): string {
  const day = weekday(startMs, zone);
  const start = hourMinute(startMs, zone);
  if (stepMs >= DAY_MS && start === "00:00") return day;
  const endMs = startMs + stepMs;
  if (stepMs < DAY_MS) return `${day}, ${start}–${hourMinute(endMs, zone)}`;
  return `${day} ${start} – ${weekday(endMs, zone)} ${hourMinute(endMs, zone)}`;
}

/** A span: `12:03 – 12:41`, with days where it is not within one. */
export function spanLabel(fromMs: number, toMs: number, zone: string | null): string {
  const [fromDay, toDay] = [dayMonth(fromMs, zone), dayMonth(toMs - 1, zone)];
  const [from, to] = [hourMinute(fromMs, zone), hourMinute(toMs, zone)];
  if (from === "00:00" && to === "00:00") return fromDay === toDay ? fromDay : `${fromDay} – ${toDay}`;
  return fromDay === toDay ? `${fromDay}, ${from} – ${to}` : `${fromDay} ${from} – ${dayMonth(toMs, zone)} ${to}`;
}

/** What an axis writes at a tick, by the distance of the ticks: at midnight the day. */
export function axisLabel(ms: number, incrementMs: number, zone: string | null): string {
  const time = hourMinute(ms, zone);
  if (incrementMs >= DAY_MS || time === "00:00") return dayMonth(ms, zone);
  return incrementMs < MINUTE_MS ? clock(ms, zone) : time;
}

/** `2 m 14 s`, `0.4 s`: two units at most. */
export function durationText(ms: number): string {
  if (ms < 0) return "0 s";
  if (ms < 10_000) return `${(Math.round(ms / 100) / 10).toString()} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (ms < HOUR_MS) return two(Math.floor(seconds / 60), "m", seconds % 60, "s");
  if (ms < DAY_MS) return two(Math.floor(ms / HOUR_MS), "h", Math.floor((ms % HOUR_MS) / MINUTE_MS), "m");
  return two(Math.floor(ms / DAY_MS), "d", Math.floor((ms % DAY_MS) / HOUR_MS), "h");
}

/** `4 m ago`, `in 2 h`: one unit, since it is read at a glance. */
export function relativeText(ms: number, nowMs: number): string {
  const distance = Math.abs(nowMs - ms);
  if (distance < 1_500) return "now";
  const [, unitMs, unit] = RELATIVE_UNITS.find(([fromMs]) => distance >= fromMs) ?? [0, 1_000, "s"];
  const text = `${Math.round(distance / unitMs)} ${unit}`;
  return ms > nowMs ? `in ${text}` : `${text} ago`;
}

const RELATIVE_UNITS: readonly (readonly [number, number, string])[] = [
  [1.5 * DAY_MS, DAY_MS, "d"],
  [1.5 * HOUR_MS, HOUR_MS, "h"],
  [MINUTE_MS, MINUTE_MS, "m"],
];

/** The zone as it is now: `Europe/Paris (UTC+2)`. */
export function zoneLabel(zone: string | null, atMs: number): string {
  const shown = format("zone", zone, { hour: "2-digit" });
  const name = shown.resolvedOptions().timeZone;
  const offset = new Intl.DateTimeFormat("en", { timeZone: name, timeZoneName: "shortOffset" })
    .formatToParts(atMs)
    .find((part) => part.type === "timeZoneName")?.value;
  if (name === "UTC" || !offset) return name;
  return `${name} (${offset.replace("GMT", "UTC")})`;
}

/** What an `<input type="datetime-local">` holds for a time in a zone. */
export function toLocalInput(ms: number, zone: string | null): string {
  const parts = format("input", zone, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  }).formatToParts(ms);
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.find((each) => each.type === type)?.value ?? "";
  return `${part("year")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}`;
}

/** The time that a wall clock in a zone means; null where the text is no time. */
export function fromLocalInput(text: string, zone: string | null): number | null {
  const asUtc = Date.parse(`${text}Z`);
  if (!Number.isFinite(asUtc)) return null;
  // The offset is not known before the time is: guess, look what the clock shows then, and correct; twice, for the
  // hours around a change of the clock.
  let guess = asUtc;
  for (let round = 0; round < 2; round += 1) {
    guess += asUtc - Date.parse(`${toLocalInput(guess, zone)}Z`);
  }
  return guess;
}

function two(count: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${count} ${unit}` : `${count} ${unit} ${rest} ${restUnit}`;
}
