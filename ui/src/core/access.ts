/** Who may see this page, and the keys that say so. */
import { parseInstant } from "./address";
import { isRecord, optionalText, text, unexpected } from "./shapes";

export const SCOPES = ["write", "read", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

export const SCOPE_WORDS: Readonly<Record<Scope, string>> = {
  write: "sends events, and nothing else: may be public",
  read: "asks: this dashboard, Grafana",
  admin: "does all, keys too",
};

export interface Session {
  /** Whether anything is told without a key. */
  readonly needed: boolean;
  /** Of the key that this browser is signed in with. */
  readonly name: string | null;
  readonly scope: Scope | null;
}

export interface AccessKey {
  readonly id: string;
  readonly name: string;
  readonly scope: Scope;
  readonly origins: readonly string[];
  /** The end of its secret. */
  readonly hint: string;
  readonly createdMs: number | null;
  readonly revokedMs: number | null;
  readonly previousUntilMs: number | null;
}

export interface MadeKey {
  readonly key: AccessKey;
  /** Shown once. */
  readonly secret: string;
}

export interface KeyWish {
  readonly name: string;
  readonly scope: Scope;
  readonly origins: readonly string[];
}

export function isShutOut(session: Session | undefined): boolean {
  return session !== undefined && session.needed && session.name === null;
}

/** `https://a.example, https://b.example`, or with spaces or lines between. */
export function readOrigins(typed: string): readonly string[] {
  return typed.split(/[\s,]+/).filter((origin) => origin !== "");
}

export function readSession(body: unknown): Session {
  if (!isRecord(body)) throw unexpected("it is not a session");
  return { needed: body["needed"] === true, name: optionalText(body["name"]), scope: readScope(body["scope"]) };
}

export function readKey(item: Record<string, unknown>): AccessKey {
  const origins = item["origins"];
  const scope = readScope(item["scope"]);
  if (scope === null) throw unexpected("a key has no scope that is known here");
  return {
    id: text(item, "id"),
    name: text(item, "name"),
    scope,
    origins: Array.isArray(origins) ? origins.filter((each) => typeof each === "string") : [],
    hint: text(item, "hint"),
    createdMs: parseInstant(optionalText(item["created_at"])),
    revokedMs: parseInstant(optionalText(item["revoked_at"])),
    previousUntilMs: parseInstant(optionalText(item["previous_until"])),
  };
}

export function readMade(body: unknown): MadeKey {
  if (!isRecord(body) || !isRecord(body["key"])) throw unexpected("it is not a key");
  return { key: readKey(body["key"]), secret: text(body, "secret") };
}

function readScope(value: unknown): Scope | null {
  return SCOPES.find((scope) => scope === value) ?? null;
}
