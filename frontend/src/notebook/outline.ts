/** The headings of a notebook's text cells: a table of contents that is always up to date. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";

import type { CellModel, NotebookModel } from "../crdt/notebookModel";
import { type Heading, headingsOf } from "./outputs";

export interface OutlineEntry extends Heading {
  cellId: string;
  /** Which heading of its cell, from 0. */
  nth: number;
}

export class NotebookOutline {
  readonly entries: ReadonlySignal<readonly OutlineEntry[]>;
  /** The heading that was gone to, while its cell is active; else the last one that the active cell is below. */
  readonly current: ReadonlySignal<OutlineEntry | null>;
  readonly #wanted = signal<OutlineEntry | null>(null);
  /** A keystroke is in one cell: the others are not read again. */
  readonly #read = new WeakMap<CellModel, { source: string; headings: readonly Heading[] }>();

  constructor(
    model: NotebookModel,
    activeCell: ReadonlySignal<string | null>,
    /** Brings the heading into view. */
    private readonly show: (entry: OutlineEntry) => void,
  ) {
    this.entries = computed(() =>
      model.order.value.flatMap((cellId) => {
        const cell = model.cell(cellId);
        if (cell?.type.value !== "markdown") return [];
        return this.#headingsOf(cell).map((heading, nth) => ({ ...heading, cellId, nth }));
      }),
    );
    this.current = computed(() => {
      const entries = this.entries.value;
      const wanted = this.#wanted.value;
      const there = entries.find(({ cellId, nth }) => cellId === activeCell.value && cellId === wanted?.cellId && nth === wanted.nth);
      if (there) return there;
      const order = model.order.value;
      const active = order.indexOf(activeCell.value ?? "");
      const above = new Set(order.slice(0, active + 1));
      return entries.findLast((entry) => above.has(entry.cellId)) ?? null;
    });
  }

  go(entry: OutlineEntry): void {
    this.#wanted.value = entry;
    this.show(entry);
  }

  #headingsOf(cell: CellModel): readonly Heading[] {
    const source = cell.source.value;
    let read = this.#read.get(cell);
    if (read?.source !== source) {
      read = { source, headings: headingsOf(source) };
      this.#read.set(cell, read);
    }
    return read.headings;
  }
}
