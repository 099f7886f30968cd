import { effect, signal } from "@preact/signals";

export const PANEL_NAMES = ["files", "outline", "versions", "running", "trash"] as const;
export type PanelName = (typeof PANEL_NAMES)[number];

interface Layout {
  panel: PanelName | null;
  sideWidth: number;
}

export const INITIAL_SIDE_WIDTH_PX = 264;
/** Below this width the panel covers the page, as in the style sheets. */
export const NARROW_PX = 700;
const KEY = "hub.layout";

function stored(): Layout {
  const isNarrow = innerWidth < NARROW_PX;
  const initial: Layout = { panel: isNarrow ? null : "files", sideWidth: INITIAL_SIDE_WIDTH_PX };
  try {
    const saved = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Layout>;
    const panel = saved.panel === null ? null : (PANEL_NAMES.find((name) => name === saved.panel) ?? initial.panel);
    return {
      // On a phone the panel covers the page; start with the page.
      panel: isNarrow ? null : panel,
      sideWidth: typeof saved.sideWidth === "number" ? saved.sideWidth : initial.sideWidth,
    };
  } catch {
    return initial;
  }
}

/** How this browser shows a project: kept from visit to visit. */
export const layout = signal<Layout>(stored());

effect(() => {
  try {
    localStorage.setItem(KEY, JSON.stringify(layout.value));
  } catch {
    // Storage is full or forbidden: the layout is only remembered for this visit.
  }
});

export function togglePanel(panel: PanelName): void {
  layout.value = { ...layout.value, panel: layout.value.panel === panel ? null : panel };
}

export function showPanel(panel: PanelName | null): void {
  layout.value = { ...layout.value, panel };
}
