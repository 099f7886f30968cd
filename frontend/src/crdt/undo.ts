/** Undo of one person: their text edits and cell operations in one order, never another person's. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { YSyncConfig } from "y-codemirror.next";
import * as Y from "yjs";

import { CellOperation } from "./operations";
import { cellsOf } from "./schema";

const CAPTURE_MS = 500; // edits closer than this are undone together
const CELL_KEY = "cell";

export class NotebookUndo {
  readonly #undo: Y.UndoManager;
  readonly #depth = signal(0);
  /** Changes whenever something can newly be undone or redone. */
  readonly depth: ReadonlySignal<number> = this.#depth;

  /** `activeCell` tells where the person is; `onJump` is called with the cell an undo changed, to show it. */
  constructor(
    doc: Y.Doc,
    private readonly activeCell: () => string | null,
    private readonly onJump: (cellId: string) => void,
  ) {
    this.#undo = new Y.UndoManager(cellsOf(doc), {
      captureTimeout: CAPTURE_MS,
      trackedOrigins: new Set<unknown>([YSyncConfig, CellOperation]),
    });
    this.#undo.on("stack-item-added", ({ stackItem, type }) => {
      if (type === "undo" && !stackItem.meta.has(CELL_KEY)) stackItem.meta.set(CELL_KEY, this.activeCell());
      this.#depth.value += 1;
    });
    this.#undo.on("stack-item-popped", ({ stackItem }) => {
      const cellId = stackItem.meta.get(CELL_KEY) as string | null;
      if (cellId && cellsOf(doc).has(cellId)) this.onJump(cellId);
      this.#depth.value += 1;
    });
  }

  get canUndo(): boolean {
    return this.#undo.canUndo();
  }

  get canRedo(): boolean {
    return this.#undo.canRedo();
  }

  undo(): boolean {
    return this.#undo.undo() !== null;
  }

  redo(): boolean {
    return this.#undo.redo() !== null;
  }

  /** What comes next is undone on its own: called around cell operations and when the cursor changes cells. */
  separate(): void {
    this.#undo.stopCapturing();
  }

  dispose(): void {
    this.#undo.destroy();
  }
}
