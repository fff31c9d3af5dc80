import { expect, test } from "vitest";
import { isShutOut, readOrigins } from "./access";
import { Client } from "./api";

const KEY = { id: "1a", name: "shop", scope: "write", origins: ["https://shop.example"], requests_per_s: 0, hint: "x7Qa", created_at: "2026-01-01T12:00:00Z", revoked_at: null, previous_until: null };

/** A client, and what it was heard to send. */
function client(body: unknown): { client: Client; sent: { url: string; method: string; body: string | undefined; type: string | undefined }[] } {
  const sent: { url: string; method: string; body: string | undefined; type: string | undefined }[] = [];
  return {
    sent,
    client: new Client(async (url, init) => {
      sent.push({ url, method: init.method, body: init.body, type: init.headers["Content-Type"] });
      return Response.json(body);
    }),
  };
}

test("a browser is shut out where keys are needed and it is signed in with none", () => {
  expect(isShutOut(undefined)).toBe(false);
  expect(isShutOut({ needed: false, name: null, scope: "admin" })).toBe(false);
  expect(isShutOut({ needed: true, name: "me", scope: "read" })).toBe(false);
  expect(isShutOut({ needed: true, name: null, scope: null })).toBe(true);
});

test("origins are read from however they are typed", () => {
  expect(readOrigins(" https://a.example,https://b.example\n https://c.example ,")).toEqual(["https://a.example", "https://b.example", "https://c.example"]);
  expect(readOrigins("  ")).toEqual([]);
});

test("a key is sent as JSON in a body, never in a URL", async () => {
  const { client: asked, sent } = client({ needed: true, name: "me", scope: "admin" });
  expect(await asked.signIn("sga_secret")).toEqual({ needed: true, name: "me", scope: "admin" });
  expect(sent).toEqual([{ url: "/session", method: "POST", body: '{"key":"sga_secret"}', type: "application/json" }]);
});

test("what only asks has no body", async () => {
  const { client: asked, sent } = client({ keys: [KEY] });
  const [key] = await asked.keys();
  expect(key).toMatchObject({ name: "shop", scope: "write", revokedMs: null, createdMs: 1_767_268_800_000 });
  expect(sent).toEqual([{ url: "/keys", method: "GET", body: undefined, type: undefined }]);
});

test("a made key comes with its secret", async () => {
  const { client: asked } = client({ key: KEY, secret: "sgw_x7Qa" });
  expect(await asked.makeKey({ name: "shop", scope: "write", origins: [] })).toMatchObject({ secret: "sgw_x7Qa", key: { id: "1a" } });
});

test("a key of a scope that is not known is unreadable", async () => {
  const { client: asked } = client({ keys: [{ ...KEY, scope: "root" }] });
  await expect(asked.keys()).rejects.toMatchObject({ code: "unexpected_answer" });
});
