/**
 * Series colours by name, so that "mobile" keeps its colour everywhere. The hues are Okabe and Ito's; the stylesheet
 * holds a light and a dark shade of each, with at least 3:1 against the panel.
 */
import { OTHER, UNKNOWN } from "./filters";

export const HUES = ["blue", "orange", "green", "vermillion", "sky", "purple", "yellow"] as const;
export type Hue = (typeof HUES)[number] | "grey" | "faint";

/** Names that meet often are set apart by hand. */
const KNOWN: ReadonlyMap<string, Hue> = new Map([
  [OTHER, "grey"], [UNKNOWN, "faint"],
  ["us", "blue"], ["de", "orange"], ["gb", "green"], ["uk", "green"], ["in", "vermillion"], ["fr", "sky"],
  ["br", "purple"], ["jp", "yellow"],
  ["mobile", "blue"], ["desktop", "orange"], ["tablet", "green"], ["bot", "purple"],
  ["200", "blue"], ["404", "orange"], ["304", "sky"], ["301", "green"], ["302", "purple"], ["500", "vermillion"],
  ["get", "blue"], ["post", "orange"], ["put", "green"], ["delete", "vermillion"], ["head", "sky"],
  ["page_view", "blue"], ["click", "orange"], ["purchase", "green"], ["signup", "purple"],
]);

/** One hue for each name, and no hue twice as long as there are enough. Order does not matter: rank is not colour. */
export function huesFor(names: readonly string[]): ReadonlyMap<string, Hue> {
  const hues = new Map<string, Hue>();
  const taken = new Set<Hue>();
  const give = (name: string, hue: Hue): void => {
    hues.set(name, hue);
    taken.add(hue);
  };
  const rest: string[] = [];
  for (const name of names) {
    const known = KNOWN.get(name.toLowerCase());
    if (known && !taken.has(known)) give(name, known);
    else rest.push(name);
  }
  for (const name of rest.toSorted((one, other) => hash(one) - hash(other))) give(name, freeHue(hash(name), taken));
  return hues;
}

function freeHue(start: number, taken: ReadonlySet<Hue>): Hue {
  const order = HUES.map((_, index) => HUES[(start + index) % HUES.length] ?? "grey");
  return order.find((hue) => !taken.has(hue)) ?? order[0] ?? "grey";
}

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}
