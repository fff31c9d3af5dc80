import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "./ranges";
import { axisLabel, clock, durationText, fromLocalInput, fullTime, relativeText, spanLabel, stepLabel, toLocalInput, zoneLabel } from "./times";

const noon = Date.UTC(2026, 5, 2, 12, 3, 0);

test("a time is shown in the chosen zone", () => {
  expect(clock(noon, "UTC")).toBe("12:03:00");
  expect(clock(noon, "Europe/Paris")).toBe("14:03:00");
  expect(fullTime(noon, "Asia/Tokyo")).toBe("2 Jun 2026, 21:03:00");
});

test("the zone is named with its offset of that day", () => {
  expect(zoneLabel("UTC", noon)).toBe("UTC");
  expect(zoneLabel("Europe/Paris", noon)).toBe("Europe/Paris (UTC+2)");
  expect(zoneLabel("Europe/Paris", Date.UTC(2026, 0, 2))).toBe("Europe/Paris (UTC+1)");
});

test("a step says where it begins and ends", () => {
  expect(stepLabel(noon, MINUTE_MS, "UTC")).toBe("Tue 2 Jun, 12:03–12:04");
  expect(stepLabel(Date.UTC(2026, 5, 2), DAY_MS, "UTC")).toBe("Tue 2 Jun");
  expect(stepLabel(Date.UTC(2026, 5, 2), DAY_MS, "Europe/Paris")).toBe("Tue 2 Jun 02:00 – Wed 3 Jun 02:00");
});

test("a span within one day names the day once", () => {
  expect(spanLabel(noon, noon + 38 * MINUTE_MS, "UTC")).toBe("2 Jun, 12:03 – 12:41");
  expect(spanLabel(noon, noon + DAY_MS, "UTC")).toBe("2 Jun 12:03 – 3 Jun 12:03");
  expect(spanLabel(Date.UTC(2026, 5, 2), Date.UTC(2026, 5, 5), "UTC")).toBe("2 Jun – 4 Jun");
});

test("an axis of hours shows the day at midnight", () => {
  expect(axisLabel(Date.UTC(2026, 5, 2, 22), 2 * HOUR_MS, "UTC")).toBe("22:00");
  expect(axisLabel(Date.UTC(2026, 5, 3), 2 * HOUR_MS, "UTC")).toBe("3 Jun");
});

test.each([[0, "0 s"], [400, "0.4 s"], [14_000, "14 s"], [134_000, "2 m 14 s"], [120_000, "2 m"], [3 * HOUR_MS + 5 * MINUTE_MS, "3 h 5 m"], [50 * HOUR_MS, "2 d 2 h"]])(
  "%d ms lasts %s",
  (ms, text) => expect(durationText(ms)).toBe(text),
);

test("what is typed as a wall clock's time means the zone's time, also around a change of the clock", () => {
  for (const zone of ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata"]) {
    for (const time of [noon, Date.UTC(2026, 2, 29, 0, 30), Date.UTC(2026, 2, 29, 3, 0), Date.UTC(2026, 10, 1, 8, 0)]) {
      expect(fromLocalInput(toLocalInput(time, zone), zone), `${zone} ${time}`).toBe(time);
    }
  }
  expect(fromLocalInput("", "UTC")).toBeNull();
});

test("a distance in time is said in one unit, before or after now", () => {
  const now = 1_000_000_000;
  const ages = [1_000, 12_400, 61_000, 89 * MINUTE_MS, 91 * MINUTE_MS, 119 * MINUTE_MS, 35 * HOUR_MS, 49 * HOUR_MS];
  expect(ages.map((ms) => relativeText(now - ms, now))).toEqual(["now", "12 s ago", "1 m ago", "89 m ago", "2 h ago", "2 h ago", "35 h ago", "2 d ago"]);
  expect(relativeText(now + 7_200_000, now)).toBe("in 2 h");
});
