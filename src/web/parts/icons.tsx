import type { ComponentChildren } from "preact";

function Drawing({ children, size = 20 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width={size} height={size} aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

/** The drawings of buttons and places, as strokes of one width. */
const STROKES = {
  now: "M3 10.5h3l2-6 4 11 2-5h3",
  incidents: "M4 5.5h12M4 10h12M4 14.5h7",
  hosts: "M3.5 4.5h13v4.5h-13zM3.5 11.5h13v4.5h-13zM6.5 6.75h.01M6.5 13.75h.01",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  settings: "M4 6h7M15 6h1M4 14h1M9 14h7M13 4v4M7 12v4",
  silences: "M6 13.5h8.5L13 11V8.5a3.5 3.5 0 0 0-5-3.2M6.5 7.5 6 11l-1.5 2.5M8.5 16a1.6 1.6 0 0 0 3 0M3 3l14 14",
  back: "M12 4.5 6.5 10l5.5 5.5",
  close: "M5 5l10 10M15 5 5 15",
  copy: "M7.5 7.5h8v8h-8zM12.5 7.5v-3h-8v8h3",
  check: "M4.5 10.5l3.5 3.5 7.5-8",
  restart: "M15.5 10a5.5 5.5 0 1 1-1.8-4.1M15.5 3.5v3.2h-3.2",
  logs: "M5 3.5h10v13H5zM7.5 7h5M7.5 10h5M7.5 13h3",
  acknowledge: "M3.5 10.5l3 3 5-6.5M9.5 13.5l.5.5 6.5-8",
  search: "M8.5 4a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM12 12l4.5 4.5",
  up: "M10 16V4.5M5 9.5l5-5 5 5",
  next: "M8 4.5 13.5 10 8 15.5",
  add: "M10 4v12M4 10h12",
} as const;

/** Its name says what it stands for. */
export type IconName = keyof typeof STROKES;

/** A drawing beside words, or in a button that has a name. */
export function Icon({ name, size }: { name: IconName; size?: number }) {
  return (
    <Drawing {...(size === undefined ? {} : { size })}>
      <path
        d={STROKES[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.7"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </Drawing>
  );
}

/** Severities differ in shape, so that nobody needs the colour: octagon, triangle, circle, ring. */
export function SeverityShape({ severity }: { severity: string | null }) {
  switch (severity) {
    case "critical":
      return (
        <Drawing>
          <path d="M6.3 1.5h7.4l4.8 4.8v7.4l-4.8 4.8H6.3l-4.8-4.8V6.3z" fill="currentColor" />
          <path d="M10 5.5v5.5M10 14.2v.1" class="on-shape" />
        </Drawing>
      );
    case "warning":
      return (
        <Drawing>
          <path d="M10 1.8 19 17.5a.6.6 0 0 1-.5.9h-17a.6.6 0 0 1-.5-.9z" fill="currentColor" />
          <path d="M10 7.5v4.5M10 15.2v.1" class="on-shape" />
        </Drawing>
      );
    case "info":
      return (
        <Drawing>
          <circle cx="10" cy="10" r="8.3" fill="currentColor" />
          <path d="M10 9.3v5M10 5.9v.1" class="on-shape" />
        </Drawing>
      );
    default:
      return (
        <Drawing>
          <circle cx="10" cy="10" r="6.8" fill="none" stroke="currentColor" stroke-width="2.4" />
        </Drawing>
      );
  }
}

/** The name's own sign: a pulse in a ring. */
export function Brand() {
  return (
    <svg class="brand-mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">
      <rect x="1" y="1" width="22" height="22" rx="6" fill="currentColor" />
      <path d="M4.5 12.5h3.2l2-5 4 9 2.1-4h3.7" class="on-brand" />
    </svg>
  );
}
