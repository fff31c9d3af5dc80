import { expect, test } from "vitest";
import css from "../styles/tokens.css?raw";
import { HUES, hash, huesFor } from "./colours";

test("a name keeps its colour whatever its rank", () => {
  const names = ["mobile", "desktop", "tablet", "tv", "watch"];
  expect(huesFor(names.toReversed())).toEqual(huesFor(names));
});

test("seven names have seven colours", () => {
  const names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"];
  expect(new Set(huesFor(names).values()).size).toBe(7);
});

test("a known name has its own colour, in any case of letters", () => {
  expect(huesFor(["mobile"]).get("mobile")).toBe("blue");
  expect(huesFor(["Mobile"]).get("Mobile")).toBe("blue");
});

test("what has no name has no colour", () => {
  const hues = huesFor(["(other)", "(unknown)", "US"]);
  expect([hues.get("(other)"), hues.get("(unknown)")]).toEqual(["grey", "faint"]);
});

test("the hash is FNV-1a", () => {
  expect([hash(""), hash("a"), hash("foobar")]).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968]);
});

const THEMES = ["light", "dark"] as const;

function shade(property: string, theme: (typeof THEMES)[number]): string {
  const match = new RegExp(`${property}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(css);
  return match?.[theme === "light" ? 1 : 2] ?? expect.unreachable(`${property} has no two shades`);
}

function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

test.each(THEMES)("in the %s theme text has a contrast of 4.5 and graphics of 3", (theme) => {
  for (const ground of ["--panel", "--ground", "--raised"]) {
    for (const text of ["--text", "--muted", "--accent", "--warn", "--bad"]) {
      expect(contrast(shade(text, theme), shade(ground, theme)), `${text} on ${ground}`).toBeGreaterThanOrEqual(4.5);
    }
  }
  for (const graphic of ["--faint", "--good", "--hue-grey", "--hue-faint", ...HUES.map((hue) => `--hue-${hue}`)]) {
    expect(contrast(shade(graphic, theme), shade("--panel", theme)), graphic).toBeGreaterThanOrEqual(3);
  }
  expect(contrast(shade("--on-accent", theme), shade("--accent", theme))).toBeGreaterThanOrEqual(4.5);
  expect(contrast(shade("--text", theme), shade("--accent-bar", theme)), "text on a bar").toBeGreaterThanOrEqual(4.5);
  expect(contrast(shade("--muted", theme), shade("--accent-bar", theme)), "(unknown) on its bar").toBeGreaterThanOrEqual(4.5);
});
