import type { ReactNode } from "react";

/** A wave that crosses a ruler's ticks. */
export function Mark({ size = 20 }: { readonly size?: number }): ReactNode {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 16 16" fill="none" aria-hidden="true">
      <mask id="mark-gap">
        <path fill="#fff" d="M0 0h16v16H0z" />
        <path stroke="#000" strokeWidth="4.6" d="M0 8c2 0 2.4-3 4.6-3S9 11 11.4 11 14 8 16 8" />
      </mask>
      <path mask="url(#mark-gap)" stroke="currentColor" strokeWidth="1.5" d="M2.5 3v10M6.25 1v14M9.75 1v14M13.5 3v10" />
      <path stroke="currentColor" strokeWidth="2" strokeLinecap="round" d="M1 8c1.6 0 2-3 3.8-3S9 11 11.2 11 13.6 8 15 8" />
    </svg>
  );
}

const PATHS = {
  chevron: "M4 6l4 4 4-4",
  close: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5l3 3",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  up: "M8 12.5v-9M4.5 7L8 3.5 11.5 7",
  down: "M8 3.5v9M4.5 9L8 12.5 11.5 9",
  same: "M3.5 8h9",
  system: "M2.5 3.5h11v7h-11zM6 13.5h4M8 10.5v3",
  light: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7",
  dark: "M13 9.6A5.5 5.5 0 0 1 6.4 3 5.5 5.5 0 1 0 13 9.6z",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  check: "M3 8.5l3.5 3.5L13 4.5",
  warning: "M8 2.5l6 11H2zM8 6.5v3.2M8 11.6h.01",
  explain: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.5v3.5M8 5h.01",
  bell: "M4 11V7a4 4 0 0 1 8 0v4l1 1.5H3zM6.5 14h3",
  key: "M5.5 13a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM7.3 8.7L13 3M11 5l2 2",
  keyboard: "M1.5 4.5h13v7h-13zM4 7h.01M6.7 7h.01M9.3 7h.01M12 7h.01M5.5 9.3h5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }): ReactNode {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth={name === "more" ? 2 : 1.5} strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
