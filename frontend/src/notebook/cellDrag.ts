/** Moving cells by their handle: a line shows where they will land; nothing else moves until they do. */

import { signal } from "@preact/signals";

import { moveTo } from "./cellActions";
import type { OpenNotebook } from "./openNotebook";

const EDGE_PX = 48; // near the edge the notebook scrolls
const SCROLL_PX = 12; // a frame
const START_PX = 4;

export class CellDrag {
  /** Cells being moved. */
  readonly moving = signal<ReadonlySet<string>>(new Set());
  /** The cell before which they would land; `"end"` behind the last; null while nothing is dragged. */
  readonly target = signal<string | null>(null);
  #pointerY = 0;
  #frame = 0;

  constructor(
    private readonly notebook: OpenNotebook,
    private readonly scroller: () => HTMLElement | null,
  ) {}

  start(event: PointerEvent, cellId: string): void {
    if (event.button !== 0 || !this.notebook.canEdit.peek()) return;
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    const startY = event.clientY;
    const { selection } = this.notebook;
    if (!selection.selected.peek().includes(cellId)) selection.select(cellId);
    selection.setMode("command");
    let isDragging = false;

    const onMove = (move: PointerEvent): void => {
      this.#pointerY = move.clientY;
      if (!isDragging && Math.abs(move.clientY - startY) < START_PX) return;
      if (!isDragging) {
        isDragging = true;
        this.moving.value = new Set(selection.selected.peek());
        this.#tick();
      }
      this.target.value = this.#targetAt(move.clientY);
    };
    const stop = (drop: boolean): void => {
      handle.removeEventListener("pointermove", onMove);
      handle.removeEventListener("pointerup", onUp);
      handle.removeEventListener("pointercancel", onCancel);
      removeEventListener("keydown", onKey, true);
      cancelAnimationFrame(this.#frame);
      const target = this.target.peek();
      const moving = this.moving.peek();
      this.moving.value = new Set();
      this.target.value = null;
      if (drop && isDragging && target !== null) this.#drop(moving, target);
    };
    const onUp = (): void => stop(true);
    const onCancel = (): void => stop(false);
    const onKey = (key: KeyboardEvent): void => {
      if (key.key !== "Escape") return;
      key.stopPropagation();
      stop(false);
    };
    handle.setPointerCapture(event.pointerId);
    handle.addEventListener("pointermove", onMove);
    handle.addEventListener("pointerup", onUp);
    handle.addEventListener("pointercancel", onCancel);
    addEventListener("keydown", onKey, true);
  }

  #drop(moving: ReadonlySet<string>, target: string): void {
    const order = this.notebook.model.order.peek();
    const staying = order.filter((id) => !moving.has(id));
    const index = target === "end" ? staying.length : staying.indexOf(target);
    if (index >= 0) moveTo(this.notebook, [...moving], index);
  }

  #targetAt(y: number): string | null {
    const moving = this.moving.peek();
    for (const element of this.scroller()?.querySelectorAll<HTMLElement>("[data-cell-id]") ?? []) {
      const id = element.dataset.cellId ?? "";
      if (moving.has(id)) continue;
      const box = element.getBoundingClientRect();
      if (y < box.top + box.height / 2) return id;
    }
    return "end";
  }

  #tick(): void {
    this.#frame = requestAnimationFrame(() => {
      const scroller = this.scroller();
      if (!scroller) return;
      const box = scroller.getBoundingClientRect();
      if (this.#pointerY < box.top + EDGE_PX) scroller.scrollTop -= SCROLL_PX;
      else if (this.#pointerY > box.bottom - EDGE_PX) scroller.scrollTop += SCROLL_PX;
      this.target.value = this.#targetAt(this.#pointerY);
      this.#tick();
    });
  }
}
