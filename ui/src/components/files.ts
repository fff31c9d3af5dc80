/** What leaves the page: files and the clipboard. */

export function saveText(name: string, text: string, type = "text/csv;charset=utf-8"): void {
  saveBlob(name, new Blob([text], { type }));
}

export function saveBlob(name: string, blob: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The clipboard API is only there on https and localhost, so there is the old way too. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** Where this page's server is, for commands to paste. */
export function serverOrigin(): string {
  return new URL(".", window.location.href).href.replace(/\/$/, "");
}

/** `page_views-country-24h.csv`: a name that says what is in it. */
export function fileName(parts: readonly string[], extension: string): string {
  return `${parts.map((part) => part.replaceAll(/[^\w.-]+/g, "_")).join("-")}.${extension}`;
}
