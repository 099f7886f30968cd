/** Line icons on a 16 × 16 grid, drawn for this app. */
const PATHS = {
  "arrow-down": "M8 3v10M4 9l4 4 4-4",
  "arrow-up": "M8 13V3M4 7l4-4 4 4",
  check: "M3 8.5 6.5 12 13 4.5",
  "chevron-down": "M4 6l4 4 4-4",
  "chevron-left": "M10 4 6 8l4 4",
  "chevron-right": "M6 4l4 4-4 4",
  clock: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM8 5v3.2l2.2 1.3",
  close: "M4 4l8 8M12 4l-8 8",
  code: "M5.5 4.5 2 8l3.5 3.5M10.5 4.5 14 8l-3.5 3.5",
  copy: "M6 6h7.5v7.5H6zM10 6V2.5H2.5V10H6",
  cut: "M4.5 13.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM11.5 13.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5.6 9.8 11 2.5M10.4 9.8 5 2.5",
  download: "M8 2.5v7.5M4.5 7 8 10.5 11.5 7M2.5 13.5h11",
  drag: "M6 3.5h.01M10 3.5h.01M6 8h.01M10 8h.01M6 12.5h.01M10 12.5h.01",
  error: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2ZM8 5v3.5M8 11h.01",
  external: "M9.5 2.5h4v4M13.5 2.5 7.5 8.5M11.5 9v4.5h-9v-9H7",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8ZM8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z",
  file: "M3.5 1.5h6l3 3v10h-9zM9.5 1.5v3h3",
  files: "M5.5 1.5h5l3 3v7h-8zM10.5 1.5v3h3M5.5 4.5h-3v10h8v-3",
  folder: "M1.5 3.5h4.5l1.5 2h7v8h-13z",
  "folder-open": "M1.5 12.5v-9H6l1.5 2h5.5v2M1.5 13l2-5.5h11.5l-2 6h-11z",
  gauge: "M2.2 12.5a6.2 6.2 0 1 1 11.6 0M8 10.5l3-4M4 12.5h8",
  help: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2ZM6.2 6.3c.2-2 3.6-2 3.6 0 0 1.3-1.8 1.3-1.8 2.7M8 11.5h.01",
  home: "M2 7.5 8 2.5l6 5M3.5 6.5v7h3.5V10h2v3.5h3.5v-7",
  image: "M2 3h12v10H2zM2 11l3.5-3.5 3 3 2-2L14 12M10.5 6h.01",
  info: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2ZM8 7.5V11M8 5h.01",
  kernel: "M4.5 4.5h7v7h-7zM6.5 1.5v3M9.5 1.5v3M6.5 11.5v3M9.5 11.5v3M1.5 6.5h3M1.5 9.5h3M11.5 6.5h3M11.5 9.5h3",
  key: "M10.5 2a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM8 8 2 14M4 12l1.5 1.5M6 10l1.5 1.5",
  keyboard: "M1.5 4h13v8h-13zM4 6.5h.01M6.7 6.5h.01M9.3 6.5h.01M12 6.5h.01M5 9.5h6",
  list: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.01M2.5 8h.01M2.5 12h.01",
  markdown: "M1.5 3.5h13v9h-13zM4 10V6l2 2.3L8 6v4M11 6v3.5M9.5 8.3 11 10l1.5-1.7",
  mail: "M1.5 3.5h13v9h-13zM1.5 4.5 8 9l6.5-4.5",
  megaphone: "M2.5 6.5v3h2.5l6.5 3.5V3L5 6.5zM5 9.5l1 4h1.7L7 10.5M13.3 6.3v3.4",
  menu: "M2.5 4h11M2.5 8h11M2.5 12h11",
  monitor: "M2 3h12v8H2zM8 11v2.5M5 13.5h6",
  moon: "M13 9.7A5.5 5.5 0 0 1 6.3 3 5.5 5.5 0 1 0 13 9.7Z",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  move: "M2 8h9M8 4.5 11.5 8 8 11.5M14 3v10",
  "new-file": "M8.5 14.5h-5v-13h6l3 3V8M9.5 1.5v3h3M12 10v5M9.5 12.5h5",
  "new-folder": "M8 13.5H1.5v-10H6l1.5 2h7V8M12.5 10v5M10 12.5h5",
  "new-notebook": "M8.5 14.5h-5v-13h9V8M6 1.5v13M12 10v5M9.5 12.5h5",
  notebook: "M3.5 1.5h9v13h-9zM6 1.5v13M8 5h2.5M8 7.5h2.5M2 4.5h1.5M2 8h1.5M2 11.5h1.5",
  offline: "M2 2l12 12M5 5.3A5 5 0 0 0 4 7.5a3 3 0 0 0 .5 6h7M7 4.1a5 5 0 0 1 5 3.9 2.8 2.8 0 0 1 1.5 4.3",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  people: "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM1.5 13.5c0-5 9-5 9 0M10.5 2.8a2.5 2.5 0 0 1 0 4.5M12.2 9.8c1.5.6 2.3 1.9 2.3 3.7",
  play: "M4.5 2.8v10.4L13 8z",
  plus: "M8 3v10M3 8h10",
  pulse: "M1.5 8h3l2-5 3 10 2-5h3",
  refresh: "M13 8a5 5 0 1 1-1.5-3.6L13.5 6M13.5 2.5V6H10",
  rename: "M2.5 13.5l.7-3L10.5 3l2.5 2.5-7.5 7.3zM9 4.5 11.5 7",
  restart: "M3 8a5 5 0 1 0 1.5-3.6L2.5 6M2.5 2.5V6H6",
  "run-all": "M2.5 3.5v9L8 8zM8.5 3.5v9L14 8z",
  save: "M2.5 2.5h9l2 2v9h-11zM5 2.5v4h5v-4M5 13.5v-4h6v4",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.5 10.5l3.5 3.5",
  server: "M2 2.5h12v4.7H2zM2 8.8h12v4.7H2zM4.5 4.9h.01M4.5 11.2h.01M7.5 4.9H12M7.5 11.2H12",
  settings: "M2 4.5h6M12 4.5h2M10 2.7a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6ZM2 11.5h2M8 11.5h6M6 9.7a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z",
  shield: "M8 1.8 13.5 4v4c0 3.2-2.3 5.3-5.5 6.4C4.8 13.3 2.5 11.2 2.5 8V4zM5.7 8l1.7 1.7 3-3.2",
  share: "M8 9.5v-7M5 5l3-3 3 3M4.5 7.5h-2v6h11v-6h-2",
  sidebar: "M2 2.5h12v11H2zM6 2.5v11",
  "sign-out": "M6.5 2.5h-4v11h4M6 8h8M11 5l3 3-3 3",
  stop: "M4 4h8v8H4z",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6ZM8 1.5V3M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1",
  terminal: "M1.5 2.5h13v11h-13zM4 5.5 6.5 8 4 10.5M8 10.5h3.5",
  trash: "M2.5 4h11M6 4V2.5h4V4M4 4l.6 9.5h6.8L12 4M6.7 6.5v4.5M9.3 6.5v4.5",
  undo: "M5.5 3 2.5 6l3 3M2.5 6H9a4 4 0 0 1 0 8H6",
  upload: "M8 10.5V3M4.5 6 8 2.5 11.5 6M2.5 13.5h11",
  user: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.5 14c0-6 11-6 11 0",
  warning: "M8 2.5 14.5 13.5h-13zM8 6.5v3.5M8 12h.01",
} as const;

export type IconName = keyof typeof PATHS;

/** Filled rather than outlined, because the shape is a sign for "go" or "stop". */
const FILLED: ReadonlySet<IconName> = new Set(["play", "stop", "run-all"]);
/** Dots need a heavier pen. */
const DOTTED: ReadonlySet<IconName> = new Set(["drag", "more"]);

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill={FILLED.has(name) ? "currentColor" : "none"}
      stroke="currentColor"
      stroke-width={DOTTED.has(name) ? 2 : 1.3}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
