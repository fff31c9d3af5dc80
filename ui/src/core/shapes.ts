/** Reads JSON of which the shape is expected but not known. What has another shape is an error, never shown. */
import { parseInstant } from "./address";
import { ApiError } from "./errors";

export type Item = Record<string, unknown>;

export function unexpected(why: string, status = 200): ApiError {
  return new ApiError(
    "unexpected_answer",
    `the server's answer can't be read: ${why}`,
    "is something between this page and the server, or another program on its port?",
    status,
  );
}

export function isRecord(value: unknown): value is Item {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function record(body: unknown): Item {
  if (!isRecord(body)) throw unexpected("it is not an object");
  return body;
}

export function list(body: unknown): Item[] {
  if (!Array.isArray(body) || !body.every(isRecord)) throw unexpected("it is not a list of objects");
  return body;
}

/** The list that an object holds. */
export function listIn(body: unknown, key: string): Item[] {
  return list(isRecord(body) ? body[key] : undefined);
}

export function text(item: Item, key: string): string {
  const value = item[key];
  if (typeof value !== "string") throw unexpected(`'${key}' is missing`);
  return value;
}

export function number(item: Item, key: string): number | null {
  const value = item[key];
  if (value === null) return null;
  if (typeof value !== "number") throw unexpected(`'${key}' is missing`);
  return value;
}

export function instant(item: Item, key: string): number {
  const ms = parseInstant(text(item, key));
  if (ms === null) throw unexpected(`'${key}' is no time`);
  return ms;
}

/** The texts of an object by their names. */
export function texts(item: Item, key: string): Readonly<Record<string, string>> {
  const value = item[key];
  if (!isRecord(value)) throw unexpected(`'${key}' is missing`);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, String(each)]));
}

export function optionalText(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
