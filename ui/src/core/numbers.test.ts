import { expect, test } from "vitest";
import { changeBetween, compactNumber, exactNumber, niceCeiling, percentText } from "./numbers";

const plain = (text: string | undefined): string | undefined => text?.replaceAll("\u00a0", " ");

test.each([
  [0, "0"], [7, "7"], [1_284, "1,284"], [9_999, "9,999"], [12_840, "12.8 k"], [99_949, "99.9 k"], [123_456, "123 k"],
  [999_960, "1 M"], [3_400_000, "3.4 M"], [2_000_000_000, "2 G"], [-12_840, "−12.8 k"], [0.126, "0.13"],
])("%d is shown as %s", (value, text) => {
  expect(plain(compactNumber(value))).toBe(text);
});

test("no value is not zero", () => {
  expect(compactNumber(null)).toBe("–");
  expect(exactNumber(null)).toBe("no value");
});

test("the exact number hides nothing", () => {
  expect(exactNumber(1_234_567.25)).toBe("1,234,567.25");
});

test.each([
  [112, 100, "+12 %", "up 12 %"], [88, 100, "−12 %", "down 12 %"], [100, 100, "±0 %", "unchanged"],
  [100.6, 100, "+0.6 %", "up 0.6 %"], [300, 100, "+200 %", "up 200 %"], [5, 0, "new", "new: nothing in the period before"],
  [0, 40, "−100 %", "down 100 %"],
])("from %2$d to %1$d is a change of %3$s", (now, before, text, words) => {
  const change = changeBetween(now, before);
  expect(plain(change?.text)).toBe(text);
  expect(plain(change?.words)).toBe(words);
});

test("there is no change between nothing and nothing, nor without a value", () => {
  expect(changeBetween(0, 0)).toBeNull();
  expect(changeBetween(null, 3)).toBeNull();
});

test("a small share is not shown as none", () => {
  expect(plain(percentText(0.0001))).toBe("<0.1 %");
  expect(plain(percentText(0))).toBe("0 %");
});

test("the top of an axis holds the highest value and is a round number", () => {
  expect([0, 1, 7, 38, 101, 1_999].map(niceCeiling)).toEqual([1, 1, 8, 40, 150, 2_000]);
});
