import { expect, test } from "vitest";
import { csv } from "./csv";
import { curlFirstEvent, curlQuestion, shellQuote } from "./curl";
import { lowerWords, plural, words } from "./names";

test("a cell with a comma, a quote or a line break is quoted", () => {
  expect(csv(["page", "views"], [['/a,"b"', 3], ["two\nlines", null]])).toBe('page,views\r\n"/a,""b""",3\r\n"two\nlines",\r\n');
});

test("text from events can't become a formula of a spreadsheet, numbers stay numbers", () => {
  expect(csv(["x"], [["=HYPERLINK(1)"], ["+1"], ["@a"], [-5]])).toBe("x\r\n'=HYPERLINK(1)\r\n'+1\r\n'@a\r\n-5\r\n");
});

test("a quote in a value does not end the shell's word", () => {
  expect(shellQuote("it's; rm -rf ~")).toBe(`'it'\\''s; rm -rf ~'`);
  expect(curlQuestion("http://h:1", "/metrics?filter=page:it's")).toBe(`curl 'http://h:1/metrics?filter=page:it'\\''s'`);
});

test("the first event goes to the server that served the page, and is JSON", () => {
  const command = curlFirstEvent("http://localhost:8080");
  expect(command).toContain("curl http://localhost:8080/events");
  const body = /-d '(.*)'$/.exec(command)?.[1] ?? "";
  expect(JSON.parse(body)).toMatchObject({ event: "page_view" });
});

test("identifiers are shown as words", () => {
  expect([words("page_views"), lowerWords("page_views"), words("x"), plural("country"), plural("tenant")]).toEqual(["Page views", "page views", "X", "countries", "tenants"]);
});
