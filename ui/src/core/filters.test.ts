import { expect, test } from "vitest";
import { UNKNOWN, dimensionOf, filterOf, filterWords, formatFilter, matchesFilters, onlyName, parseFilter, withFilter } from "./filters";
import { suggestFilters, typingOf } from "./suggestions";

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

test("a filter may exclude, have several values and prefixes, as the server reads them", () => {
  const kept = (text: string): boolean => matchesFilters(event, [parseFilter(text)].flatMap((filter) => filter ?? []));
  expect(["country:DE|US", "country!:US", "country!:DE|FR", "country:U*", "country!:U*", "status:4*|500"].map(kept)).toEqual([true, false, true, true, false, true]);
});

test("a name that has a bar, a star or a backslash is still one name", () => {
  const odd = "a|b*\\c*";
  const filter = filterOf("country", odd);
  expect(onlyName(filter)).toBe(odd);
  expect(matchesFilters({ ...event, properties: { country: odd } }, [filter])).toBe(true);
  expect(matchesFilters({ ...event, properties: { country: "a" } }, [filter])).toBe(false);
  expect(parseFilter(formatFilter(filter))).toEqual(filter);
});

test("a filter is said in words", () => {
  expect(["country!:US|DE", "page:/shop/*", "page:a\\*"].map((text) => filterWords(parseFilter(text) ?? filterOf("", "")))).toEqual(["not US or DE", "/shop/…", "a*"]);
  expect(["country!:US", "country:US|DE", "country:U*"].map((text) => onlyName(parseFilter(text) ?? filterOf("", "x")))).toEqual([null, null, null]);
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

const ASKED = [{ name: "US", value: 1_200 }, { name: "UA|x", value: 3 }];
const texts = (typed: string): readonly string[] => suggestFilters(typed, ["country", "page"], KNOWN, ASKED).map(({ text }) => text);

test("what the server knows comes with its number, before what the page has shown", () => {
  expect(suggestFilters("country:u", ["country"], KNOWN, ASKED)).toEqual([
    { text: "country:US", filter: { dimension: "country", value: "US" }, count: 1_200 },
    { text: "country:UA\\|x", filter: { dimension: "country", value: "UA\\|x" }, count: 3 },
  ]);
  expect(texts("country:D")).toEqual(["country:DE"]);
});

test("after a bar the next value is completed, and an exclusion stays one", () => {
  expect(texts("country!:DE|U")).toEqual(["country!:DE|US", "country!:DE|UA\\|x"]);
  expect(typingOf("country!:DE|U", ["country"])).toEqual({ dimension: "country", excluded: true, before: "DE|", part: "U" });
  expect(typingOf("count", ["country"])).toBeNull();
});
