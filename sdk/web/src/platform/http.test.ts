import { afterEach, expect, test, vi } from "vitest";
import { http } from "./http";

afterEach(() => void vi.unstubAllGlobals());

function answering(answer: Response): { url: string; init: RequestInit }[] {
  const asked: { url: string; init: RequestInit }[] = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    asked.push({ url, init });
    return answer;
  });
  return asked;
}

test.each(["https://h.example", "https://h.example/", "https://h.example/stats//"])("%s is a host, with a path or without", async (host) => {
  const asked = answering(new Response("{}"));
  await http(host)("[]");
  expect(asked[0]?.url).toBe(`${host.replace(/\/+$/, "")}/events`);
});

test("a request outlives its page, has the key and no cookies", async () => {
  const asked = answering(new Response("{}"));
  await http("https://h.example", "key")("[1]");
  expect(asked[0]?.init).toMatchObject({
    method: "POST",
    body: "[1]",
    keepalive: true,
    credentials: "omit",
    headers: { "Content-Type": "application/json", Authorization: "Bearer key" },
  });
});

test.each([
  ["7", 7],
  ["0", 0],
  ["-5", 0],
  ["soon", 0],
  [null, 0],
  ["Wed, 21 Oct 2015 07:28:00 GMT", 0],
])("Retry-After %s is %i seconds", async (header, seconds) => {
  answering(new Response("{}", { status: 503, headers: header ? { "Retry-After": header } : {} }));
  expect(await http("https://h.example")("[]")).toMatchObject({ status: 503, retryAfterS: seconds });
});

test("Retry-After may be a date", async () => {
  answering(new Response("", { status: 503, headers: { "Retry-After": new Date(Date.now() + 90_000).toUTCString() } }));
  const { retryAfterS, body } = await http("https://h.example")("[]");
  expect(Math.round(retryAfterS / 10)).toBe(9);
  expect(body).toBeUndefined();
});
