import { expect, test } from "vitest";
import { prettyJson } from "./json";

test.each([
  '{"a":[1,{"b":"x, {y}: \\"z\\""}],"c":{},"d":[ ],"e":null}',
  "[]",
  "[[]]",
  '"text"',
  '{"a":{"b":[[],{}]}}',
  ' { "ü" : "x\\\\" } ',
])("%s is written as JSON.stringify would", (text) => {
  expect(prettyJson(text)).toBe(JSON.stringify(JSON.parse(text), null, 2));
});

test("numbers, escapes and names that a parser would lose stay as they are", () => {
  expect(prettyJson(' "\\u00fc" ')).toBe('"\\u00fc"');
  expect(prettyJson("-1.5e3")).toBe("-1.5e3");
  expect(prettyJson('{"a":12345678901234567890,"a":1.0}')).toBe('{\n  "a": 12345678901234567890,\n  "a": 1.0\n}');
});

test("what is not JSON stays as it is", () => {
  for (const text of ["", "{", '{"a":NaN}', "page_view,1", "[".repeat(3_000)]) expect(prettyJson(text)).toBe(text);
});

test("what is nested deep does not become large", () => {
  expect(prettyJson(`${"[".repeat(2_000)}1${"]".repeat(2_000)}`).length).toBeLessThan(200_000);
});
