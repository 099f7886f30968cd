/** Which cells are chosen, and whether the person moves among cells or types in one. */

import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";

export type Mode = "command" | "edit";

export class CellSelection {
  readonly #active = signal<string | null>(null);
  /** The cell keys act on. */
  readonly active: ReadonlySignal<string | null> = this.#active;
  readonly #anchor = signal<string | null>(null);
  readonly #mode = signal<Mode>("command");
  readonly mode: ReadonlySignal<Mode> = this.#mode;
  /** All chosen cells, in order; always holds the active one. */
  readonly selected: ReadonlySignal<readonly string[]>;
  readonly #selectedSet: ReadonlySignal<ReadonlySet<string>>;

  constructor(private readonly order: ReadonlySignal<readonly string[]>) {
    this.selected = computed(() => {
      const ids = order.value;
      const active = this.#active.value;
      const anchor = this.#anchor.value;
      if (active === null) return [];
      const end = ids.indexOf(active);
      const start = anchor === null ? end : ids.indexOf(anchor);
      if (end < 0) return [];
      if (start < 0) return [active];
      return ids.slice(Math.min(start, end), Math.max(start, end) + 1);
    });
    this.#selectedSet = computed(() => new Set(this.selected.value));
  }

  has(id: string): boolean {
    return this.#selectedSet.value.has(id);
  }

  /** Makes the cell the only chosen one. */
  select(id: string | null, mode: Mode = "command"): void {
    batch(() => {
      this.#active.value = id;
      this.#anchor.value = id;
      this.#mode.value = id === null ? "command" : mode;
    });
  }

  /** Moves the active end of the selection. */
  extendTo(id: string): void {
    batch(() => {
      this.#anchor.value ??= this.#active.value;
      this.#active.value = id;
      this.#mode.value = "command";
    });
  }

  selectAll(): void {
    const ids = this.order.peek();
    batch(() => {
      this.#anchor.value = ids[0] ?? null;
      this.#active.value = ids.at(-1) ?? null;
      this.#mode.value = "command";
    });
  }

  setMode(mode: Mode): void {
    batch(() => {
      this.#mode.value = this.#active.peek() === null ? "command" : mode;
      if (mode === "edit") this.#anchor.value = this.#active.peek();
    });
  }

  /** The cell `step` places further, or null at the end. */
  neighbour(step: number): string | null {
    const ids = this.order.peek();
    const at = ids.indexOf(this.#active.peek() ?? "");
    return at < 0 ? (ids[0] ?? null) : (ids[at + step] ?? null);
  }

  /** Keeps an active cell when the old one was deleted: the one that took its place. */
  repair(oldOrder: readonly string[]): void {
    const ids = this.order.peek();
    const active = this.#active.peek();
    if (active !== null && ids.includes(active)) return;
    const at = active === null ? 0 : Math.max(0, oldOrder.indexOf(active));
    const kept = new Set(ids);
    const next = oldOrder.slice(at).find((id) => kept.has(id)) ?? oldOrder.slice(0, at).reverse().find((id) => kept.has(id));
    this.select(next ?? ids[Math.min(at, ids.length - 1)] ?? null);
  }
}
