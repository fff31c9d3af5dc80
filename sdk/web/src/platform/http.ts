import type { Transport } from "../core/seams";

const ANSWER_MS_MAX = 30_000;

/** `host`: `https://events.example.com`; may end in a path, where a proxy puts the server there. */
export function http(host: string, writeKey?: string): Transport {
  const url = `${host.replace(/\/+$/, "")}/events`;
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (writeKey) headers["Authorization"] = `Bearer ${writeKey}`;
  return async (body) => {
    const answer = await fetch(url, {
      method: "POST",
      body,
      headers,
      keepalive: true,
      credentials: "omit",
      // Not everywhere; a request without an answer then ends when the system ends it.
      signal: AbortSignal.timeout?.(ANSWER_MS_MAX) ?? null,
    });
    return {
      status: answer.status,
      retryAfterS: secondsOf(answer.headers.get("Retry-After")),
      serverMs: Date.parse(answer.headers.get("Date") ?? "") || 0,
      body: await answer.json().catch(() => undefined),
    };
  };
}

/** The header is a number of seconds, or a date. */
function secondsOf(retryAfter: string | null): number {
  if (!retryAfter) return 0;
  const seconds = Number(retryAfter);
  return Math.max(0, Number.isNaN(seconds) ? (Date.parse(retryAfter) - Date.now()) / 1_000 || 0 : seconds);
}
