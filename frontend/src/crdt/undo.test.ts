import { describe, expect, it, vi } from "vitest";
import { YSyncConfig } from "y-codemirror.next";
import * as Y from "yjs";

import { addCell, deleteCells, mergeCells, moveCells, setSource } from "./operations";
import { cellsOf, orderedCellIds, readCell, textOf } from "./schema";
import { NotebookUndo } from "./undo";

const sources = (doc: Y.Doc): string[] =>
  orderedCellIds(doc).map((id) => {
    const cell = cellsOf(doc).get(id);
    return cell ? readCell(cell).source : "";
  });

/** Types as the editor does: in a transaction whose origin is the editor's. */
function type(doc: Y.Doc, id: string, at: number, text: string): void {
  const cell = cellsOf(doc).get(id);
  if (!cell) throw new Error("no cell");
  const shared = textOf(cell);
  doc.transact(() => shared.insert(at, text), new YSyncConfig(shared, null));
}

function open(): { doc: Y.Doc; undo: NotebookUndo; jumps: ReturnType<typeof vi.fn>; active: { id: string | null }; ids: string[] } {
  const doc = new Y.Doc();
  const ids = [addCell(doc, 0, "code", "a"), addCell(doc, 1, "code", "b")];
  const active = { id: ids[0] ?? null };
  const jumps = vi.fn();
  const undo = new NotebookUndo(doc, () => active.id, jumps);
  return { doc, undo, jumps, active, ids };
}

describe("undo", () => {
  it("has nothing to undo in a notebook that was just opened", () => {
    const { undo, doc } = open();
    expect(undo.canUndo).toBe(false);
    expect(undo.undo()).toBe(false);
    expect(sources(doc)).toEqual(["a", "b"]);
  });

  it("covers typing and cell operations, in one order", () => {
    const { doc, undo, ids } = open();
    const [first = "", second = ""] = ids;
    type(doc, first, 1, "1");
    undo.separate();
    moveCells(doc, [first], 1);
    undo.separate();
    deleteCells(doc, [second]);
    undo.separate();
    expect(sources(doc)).toEqual(["a1"]);
    undo.undo();
    expect(sources(doc)).toEqual(["b", "a1"]);
    undo.undo();
    expect(sources(doc)).toEqual(["a1", "b"]);
    undo.undo();
    expect(sources(doc)).toEqual(["a", "b"]);
    undo.redo();
    undo.redo();
    expect(sources(doc)).toEqual(["b", "a1"]);
  });

  it("takes a merge of cells back in one step", () => {
    const { doc, undo, ids } = open();
    mergeCells(doc, ids);
    expect(sources(doc)).toEqual(["a\nb"]);
    undo.undo();
    expect(sources(doc)).toEqual(["a", "b"]);
  });

  it("never takes back another person's edit", () => {
    const { doc, undo, ids } = open();
    const other = new Y.Doc();
    Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
    type(doc, ids[0] ?? "", 1, " mine");
    setSource(other, ids[0] ?? "", "theirs a");
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(other), "hub");
    undo.undo();
    expect(sources(doc)).toEqual(["theirs a", "b"]);
    expect(undo.canUndo).toBe(false);
  });

  it("shows the cell it changed", () => {
    const { doc, undo, jumps, active, ids } = open();
    type(doc, ids[0] ?? "", 0, "x");
    undo.separate();
    active.id = ids[1] ?? null;
    type(doc, ids[1] ?? "", 0, "y");
    undo.undo();
    undo.undo();
    expect(jumps.mock.calls.map((call) => call[0] as string)).toEqual([ids[1], ids[0]]);
  });
});
