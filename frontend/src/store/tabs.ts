import { signal, type ReadonlySignal, type Signal } from "@preact/signals";
import { isWithin, joinPath, tabKindOf, type TabKind } from "./paths";
import { newTabStatus, type TabStatus } from "./status";

export interface Tab {
  /** Path of the file; also the tab's id. */
  path: string;
  kind: TabKind;
  status: Signal<TabStatus>;
  /** Set by views whose work the person saves; false when it could not be saved. */
  save?: () => Promise<boolean>;
}

const MOST_REMEMBERED = 20;

/** The open tabs of one project, in order, kept in this browser from visit to visit. */
export class ProjectTabs {
  readonly #tabs: Signal<readonly Tab[]>;
  readonly #active: Signal<string | null>;
  readonly tabs: ReadonlySignal<readonly Tab[]>;
  readonly active: ReadonlySignal<string | null>;
  readonly #key: string;
  /** Latest first: where closing the active tab goes back to. */
  #visited: string[] = [];

  constructor(
    projectId: string,
    private readonly storage: Pick<Storage, "getItem" | "setItem"> = localStorage,
  ) {
    this.#key = `hub.tabs.${projectId}`;
    const paths = this.#stored();
    this.#tabs = signal(paths.map(newTab));
    this.#active = signal<string | null>(null);
    this.tabs = this.#tabs;
    this.active = this.#active;
  }

  get(path: string): Tab | undefined {
    return this.#tabs.peek().find((tab) => tab.path === path);
  }

  /** Shows a file, in its tab if it has one, else in a new one beside the active. */
  open(path: string): void {
    if (!this.get(path)) {
      const tabs = [...this.#tabs.peek()];
      const at = tabs.findIndex((tab) => tab.path === this.#active.peek());
      tabs.splice(at < 0 ? tabs.length : at + 1, 0, newTab(path));
      this.#set(tabs);
    }
    this.#activate(path);
  }

  /** Shows no tab; they stay open. */
  deactivate(): void {
    this.#active.value = null;
  }

  /** Closes a tab. The last visited of the others becomes active. */
  close(path: string): void {
    this.#set(this.#tabs.peek().filter((tab) => tab.path !== path));
    this.#visited = this.#visited.filter((visited) => visited !== path);
    if (this.#active.peek() === path) this.#active.value = this.#visited[0] ?? this.#tabs.peek().at(-1)?.path ?? null;
  }

  /** Moves a tab before another, or to the end. */
  reorder(path: string, beforePath: string | null): void {
    const tab = this.get(path);
    if (!tab || path === beforePath) return;
    const others = this.#tabs.peek().filter((other) => other !== tab);
    const at = beforePath === null ? -1 : others.findIndex((other) => other.path === beforePath);
    others.splice(at < 0 ? others.length : at, 0, tab);
    this.#set(others);
  }

  /** A file or folder was moved: its tabs follow. */
  moved(from: string, to: string): void {
    const follow = (path: string) => (path === from ? to : isWithin(path, from) ? joinPath(to, path.slice(from.length + 1)) : path);
    this.#set(this.#tabs.peek().map((tab) => (isWithin(tab.path, from) ? newTab(follow(tab.path)) : tab)));
    this.#visited = this.#visited.map(follow);
    const active = this.#active.peek();
    if (active !== null) this.#active.value = follow(active);
  }

  /** Saves what is unsaved at `path` or below it; false when something could not be saved. */
  async saveWithin(path: string): Promise<boolean> {
    for (const tab of this.unsaved()) {
      if (isWithin(tab.path, path) && tab.save && !(await tab.save())) return false;
    }
    return true;
  }

  /** The tabs whose work would be lost if the page went away now. */
  unsaved(): Tab[] {
    return this.#tabs.peek().filter((tab) => hasUnsavedWork(tab.status.peek()));
  }

  #activate(path: string): void {
    this.#active.value = path;
    this.#visited = [path, ...this.#visited.filter((visited) => visited !== path)];
  }

  #set(tabs: readonly Tab[]): void {
    this.#tabs.value = tabs;
    try {
      this.storage.setItem(this.#key, JSON.stringify(tabs.map((tab) => tab.path).slice(-MOST_REMEMBERED)));
    } catch {
      // Storage is full or forbidden: tabs are only remembered for this visit.
    }
  }

  #stored(): string[] {
    try {
      const paths: unknown = JSON.parse(this.storage.getItem(this.#key) ?? "[]");
      return Array.isArray(paths) ? [...new Set(paths.filter((path): path is string => typeof path === "string" && path !== ""))] : [];
    } catch {
      return [];
    }
  }
}

export function hasUnsavedWork(status: TabStatus): boolean {
  return status.saved === "unsaved" || status.saved === "saving" || status.saved === "offline" || status.saved === "failed";
}

function newTab(path: string): Tab {
  return { path, kind: tabKindOf(path), status: newTabStatus() };
}
