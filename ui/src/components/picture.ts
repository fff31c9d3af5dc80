/** Charts as PNG files: what is on the screen, with its title, on the panel's colour. */
import { saveBlob } from "./files";

export interface Caption {
  readonly title: string;
  readonly lines: readonly { readonly text: string; readonly colour?: string }[];
}

const PAD = 24;
const TITLE_HEIGHT = 40;
const LINE_HEIGHT = 22;

/** The colour that a custom property has in the present theme, as a canvas understands it. */
export function themeColour(property: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

export function savePicture(name: string, chart: CanvasImageSource, width: number, height: number, caption: Caption): void {
  const scale = Math.max(2, window.devicePixelRatio);
  const canvas = document.createElement("canvas");
  const wide = Math.max(width, 320) + 2 * PAD;
  const high = height + TITLE_HEIGHT + caption.lines.length * LINE_HEIGHT + 2 * PAD;
  [canvas.width, canvas.height] = [wide * scale, high * scale];
  const paint = canvas.getContext("2d");
  if (!paint) return;
  const font = getComputedStyle(document.body).fontFamily;
  paint.scale(scale, scale);
  paint.fillStyle = themeColour("--panel");
  paint.fillRect(0, 0, wide, high);
  paint.fillStyle = themeColour("--text");
  paint.font = `600 16px ${font}`;
  paint.fillText(caption.title, PAD, PAD + 16);
  paint.drawImage(chart, PAD + (wide - 2 * PAD - width) / 2, PAD + TITLE_HEIGHT, width, height);
  paint.font = `13px ${font}`;
  caption.lines.forEach((line, index) => {
    const y = PAD + TITLE_HEIGHT + height + (index + 1) * LINE_HEIGHT;
    if (line.colour) {
      paint.fillStyle = line.colour;
      paint.fillRect(PAD, y - 9, 10, 10);
    }
    paint.fillStyle = themeColour("--muted");
    paint.fillText(line.text, PAD + (line.colour ? 18 : 0), y);
  });
  canvas.toBlob((blob) => blob && saveBlob(name, blob), "image/png");
}

/** An SVG outside its page has no stylesheet, so each shape takes its colours along. */
export async function imageOfSvg(svg: SVGSVGElement): Promise<HTMLImageElement> {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = svg.querySelectorAll("*");
  copy.querySelectorAll<SVGElement>("*").forEach((shape, index) => {
    const original = originals[index];
    if (!original) return;
    const style = getComputedStyle(original);
    for (const property of ["fill", "stroke", "stroke-width", "font-family", "font-size", "font-weight", "text-anchor"]) {
      shape.style.setProperty(property, style.getPropertyValue(property));
    }
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}
