import { expect, test } from "vitest";
import { UNKNOWN, dimensionOf, matchesFilters, parseFilter, withFilter } from "./filters";
import { suggestFilters } from "./suggestions";

const event = { event: "page_view", timestampMs: 0, userId: null, properties: { country: "US", status: 404, tags: ["a"], empty: "" } };

test("a value may hold colons", () => {
  expect(parseFilter("page:http://x:1")).toEqual({ dimension: "page", value: "http://x:1" });
});

test("what has no dimension or no value is no filter", () => {
  expect([parseFilter("x"), parseFilter(":x"), parseFilter("x:"), parseFilter(" : ")]).toEqual([null, null, null, null]);
});

test("another value of a dimension takes the first one's place", () => {
  const filters = [{ dimension: "country", value: "US" }, { dimension: "device", value: "mobile" }];
  expect(withFilter(filters, { dimension: "country", value: "DE" })).toEqual([{ dimension: "country", value: "DE" }, { dimension: "device", value: "mobile" }]);
});

test("an event has its name, its properties and (unknown) as dimensions", () => {
  expect(["event", "country", "status", "tags", "empty", "missing"].map((name) => dimensionOf(event, name))).toEqual(["page_view", "US", "404", '["a"]', UNKNOWN, UNKNOWN]);
});

test("all filters must hold", () => {
  expect(matchesFilters(event, [{ dimension: "country", value: "US" }, { dimension: "status", value: "404" }])).toBe(true);
  expect(matchesFilters(event, [{ dimension: "country", value: "US" }, { dimension: "device", value: "mobile" }])).toBe(false);
  expect(matchesFilters(event, [{ dimension: "device", value: UNKNOWN }])).toBe(true);
});

const KNOWN = [{ dimension: "country", value: "US" }, { dimension: "page", value: "/about-us" }, { dimension: "country", value: "DE" }];

test("an empty field suggests the dimensions", () => {
  expect(suggestFilters("", ["country", "page"], KNOWN).map(({ text }) => text)).toEqual(["country:", "page:"]);
});

test("after a dimension its values are suggested, of no other", () => {
  expect(suggestFilters("Country: ", ["country", "page"], KNOWN).map(({ text }) => text)).toEqual(["country:US", "country:DE"]);
});

test("a value can be found without its dimension; what begins with the text comes first", () => {
  expect(suggestFilters("us", ["country", "page"], [...KNOWN].toReversed()).map(({ text }) => text)).toEqual(["country:US", "page:/about-us"]);
});
