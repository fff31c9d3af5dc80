import { expect, test } from "vitest";
import { arcsOf } from "./donut";

const RING = { centre: 100, outer: 80, inner: 50, labelRadius: 90 };

test("a half begins at the top and ends at the bottom, on the right side", () => {
  const [half] = arcsOf([0.5, 0.5], RING);
  expect(half?.path).toBe("M100 20A80 80 0 0 1 100 180L100 150A50 50 0 0 0 100 50Z");
  expect([half?.x, half?.y]).toEqual([190, 100]);
});

test("more than a half takes the long way round", () => {
  expect(arcsOf([0.75, 0.25], RING)[0]?.path).toContain("A80 80 0 1 1");
});

test("a whole is drawn, though an arc from a point to itself is nothing", () => {
  const path = arcsOf([1], RING)[0]?.path ?? "";
  const [start, end] = [/M(\S+ \S+)A/.exec(path)?.[1], /1 1 (\S+ \S+)L/.exec(path)?.[1]];
  expect(end).toBeDefined();
  expect(end).not.toBe(start);
});
