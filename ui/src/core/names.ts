/** Identifiers as words: `page_views` → `Page views`. */
export function words(name: string): string {
  const spaced = name.replaceAll(/[_-]+/g, " ").trim();
  return spaced ? spaced.charAt(0).toUpperCase() + spaced.slice(1) : name;
}

export function lowerWords(name: string): string {
  const text = words(name);
  return text.charAt(0).toLowerCase() + text.slice(1);
}

const PLURALS: Readonly<Record<string, string>> = { country: "countries", status: "statuses", device: "devices", page: "pages" };

/** `country` → `countries`. */
export function plural(dimension: string): string {
  return PLURALS[dimension] ?? (dimension.endsWith("s") ? `${lowerWords(dimension)} values` : `${lowerWords(dimension)}s`);
}
