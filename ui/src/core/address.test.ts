import { expect, test } from "vitest";
import { DEFAULT_ADDRESS, formatAddress, parseAddress, parseInstant } from "./address";

test("an empty query is the default page, and the default page has an empty query", () => {
  expect(parseAddress("")).toEqual(DEFAULT_ADDRESS);
  expect(formatAddress(DEFAULT_ADDRESS)).toBe("");
});

test("every part of an address survives the way through the query string", () => {
  const address = {
    page: "alerts",
    metric: "page_views",
    range: { kind: "between", fromMs: 1_767_268_800_000, toMs: 1_767_272_400_500 },
    filters: [{ dimension: "page", value: "/a b?c=d&e:f" }, { dimension: "country", value: "日本|\\|*", excluded: true }],
    zone: "Asia/Tokyo",
    live: false,
    compare: "week",
    explain: "a/b ü",
    state: "silenced",
    rule: "Traffic & more",
    edit: "",
  } as const;
  expect(parseAddress(formatAddress(address))).toEqual(address);
});

test("an address can be read by people", () => {
  const address = { ...DEFAULT_ADDRESS, metric: "page_views", range: { kind: "last", last: "7d" }, filters: [{ dimension: "page", value: "/docs" }] } as const;
  expect(formatAddress(address)).toBe("?metric=page_views&range=7d&filter=page:/docs");
});

test("nonsense in the query falls back to the default instead of breaking the page", () => {
  expect(parseAddress("?range=soon&from=x&to=y&tz=Mars/Olympus&filter=nocolon&filter=:x&filter=x:&page=none&state=odd")).toEqual(DEFAULT_ADDRESS);
});

test("a range that ends before it begins is not a range", () => {
  expect(parseAddress("?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z").range).toEqual(DEFAULT_ADDRESS.range);
});

test("two filters of one dimension in a link leave the last one", () => {
  expect(parseAddress("?filter=country:US&filter=country:DE").filters).toEqual([{ dimension: "country", value: "DE" }]);
});

test("an instant is RFC 3339 or milliseconds", () => {
  expect(parseInstant("2026-01-01T12:00:00Z")).toBe(1_767_268_800_000);
  expect(parseInstant("1767268800000")).toBe(1_767_268_800_000);
  expect(parseInstant("2026-01-01T13:00:00+01:00")).toBe(1_767_268_800_000);
  expect(parseInstant("yesterday")).toBeNull();
});
