/** Commands to paste into a shell. */

/** Single quotes keep everything but themselves. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function curlQuestion(origin: string, path: string): string {
  return `curl ${shellQuote(origin + path)}`;
}

/** The shortest command that sends an event which every default panel can show. */
export function curlFirstEvent(origin: string): string {
  const body = { event: "page_view", page: "/hello", country: "US", device: "desktop" };
  return `curl ${origin}/events \\\n  -H 'Content-Type: application/json' \\\n  -d ${shellQuote(JSON.stringify(body))}`;
}
