import { describe, expect, it } from "vitest";
import * as Y from "yjs";

import { cellsFromClipboard, cellsToClipboard, documentToNbformat, sameContent, toNbformatCell } from "./nbformat";
import { NotebookModel } from "./notebookModel";
import * as operations from "./operations";
import { cellsOf, orderedCellIds, readCell, type YCell } from "./schema";

/** Two people with the same start, and a way to let them meet. */
function pair(...sources: string[]): { one: Y.Doc; two: Y.Doc; meet: () => void; ids: string[] } {
  const one = new Y.Doc();
  const ids = operations.addCells(one, 0, sources.map((source) => ({ type: "code", source, metadata: {} })));
  const two = new Y.Doc();
  const meet = (): void => {
    const forTwo = Y.encodeStateAsUpdate(one, Y.encodeStateVector(two));
    const forOne = Y.encodeStateAsUpdate(two, Y.encodeStateVector(one));
    Y.applyUpdate(two, forTwo);
    Y.applyUpdate(one, forOne);
  };
  meet();
  return { one, two, meet, ids };
}

const sources = (doc: Y.Doc): string[] =>
  orderedCellIds(doc).map((id) => {
    const cell = cellsOf(doc).get(id);
    return cell ? readCell(cell).source : "";
  });
const at = (ids: string[], index: number): string => ids[index] ?? "";

describe("bad input", () => {
  it("leaves out cells that are not of the shape", () => {
    const { one } = pair("a");
    const broken: YCell = new Y.Map();
    broken.set("type", "code");
    cellsOf(one).set("broken", broken);
    cellsOf(one).set("number", 3 as unknown as YCell);
    expect(sources(one)).toEqual(["a"]);
    expect(new NotebookModel(one).order.value).toHaveLength(1);
  });

  it("finds a place between positions other software wrote", () => {
    const { one, ids } = pair("a", "b");
    cellsOf(one).get(at(ids, 0))?.set("position", "!!");
    cellsOf(one).get(at(ids, 1))?.set("position", "~~");
    operations.addCell(one, 1, "code", "between");
    expect(sources(one)).toEqual(["a", "between", "b"]);
  });

  it("takes no cells from text that holds none", () => {
    for (const text of ["", "print(1)", "{}", "[]", "[1]", '{"cells": []}', '{"cells": [{"cell_type": "x"}], "nbformat": 4}', "{broken"]) {
      expect(cellsFromClipboard(text)).toBeNull();
    }
  });

  it("does nothing for ids that are gone", () => {
    const { one } = pair("a");
    expect(operations.deleteCells(one, ["gone"])).toEqual([]);
    expect(operations.splitCell(one, "gone", 0)).toBeNull();
    expect(operations.mergeCells(one, ["gone", "too"])).toBeNull();
    operations.moveCells(one, ["gone"], 0);
    operations.changeType(one, ["gone"], "raw");
    expect(sources(one)).toEqual(["a"]);
  });

  it("keeps a cell that is marked as not deletable", () => {
    const { one, ids } = pair("a");
    operations.setCellMetadata(one, at(ids, 0), "deletable", false);
    expect(operations.deleteCells(one, ids)).toEqual([]);
    expect(sources(one)).toEqual(["a"]);
  });
});

describe("one person", () => {
  it("adds cells at any place", () => {
    const { one } = pair("b", "d");
    operations.addCell(one, 0, "code", "a");
    operations.addCell(one, 2, "code", "c");
    operations.addCell(one, 4, "code", "e");
    expect(sources(one)).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("restores a deleted cell with its id, place, metadata and attachments", () => {
    const { one } = pair("a", "c");
    const [id = ""] = operations.addCells(one, 1, [{ type: "markdown", source: "b", metadata: { tags: ["x"] }, attachments: { "i.png": { "image/png": "AA" } } }]);
    const cell = cellsOf(one).get(id);
    const before = cell && readCell(cell);
    const deleted = operations.deleteCells(one, [id]);
    expect(sources(one)).toEqual(["a", "c"]);
    operations.restoreCells(one, deleted);
    const after = cellsOf(one).get(id);
    expect(after && readCell(after)).toEqual(before);
    expect(sources(one)).toEqual(["a", "b", "c"]);
  });

  it("moves several cells together", () => {
    const { one, ids } = pair("a", "b", "c", "d");
    operations.moveCells(one, [at(ids, 1), at(ids, 0)], 1);
    expect(sources(one)).toEqual(["c", "a", "b", "d"]);
    operations.moveCells(one, [at(ids, 3)], 0);
    expect(sources(one)).toEqual(["d", "c", "a", "b"]);
  });

  it("splits at the cursor and merges again", () => {
    const { one, ids } = pair("x = 1\ny = 2\nz = 3");
    const made = operations.splitCell(one, at(ids, 0), 6);
    expect(sources(one)).toEqual(["x = 1", "y = 2\nz = 3"]);
    operations.mergeCells(one, [at(ids, 0), made ?? ""]);
    expect(sources(one)).toEqual(["x = 1\ny = 2\nz = 3"]);
  });

  it("makes a heading of what was one already", () => {
    const { one, ids } = pair("## Title\ntext");
    operations.makeHeading(one, at(ids, 0), 3);
    expect(sources(one)).toEqual(["### Title\ntext"]);
  });

  it("carries cells through the clipboard", () => {
    const { one } = pair("a", "b");
    const text = cellsToClipboard(
      orderedCellIds(one).map((id) => {
        const cell = cellsOf(one).get(id);
        if (!cell) throw new Error("no cell");
        return toNbformatCell(readCell(cell), id);
      }),
    );
    expect(cellsFromClipboard(text)?.map((cell) => cell.source)).toEqual(["a", "b"]);
    const fromOtherSoftware = '[{"cell_type": "code", "source": ["a\\n", "b"], "metadata": {}, "outputs": []}]';
    expect(cellsFromClipboard(fromOtherSoftware)).toEqual([{ type: "code", source: "a\nb", metadata: {} }]);
  });

  it("writes a whole notebook", () => {
    const { one, two } = pair("a");
    expect(documentToNbformat(one)).toMatchObject({ nbformat: 4, cells: [{ cell_type: "code", source: "a", outputs: [] }] });
    expect(sameContent(one, two)).toBe(true);
    operations.addCell(two, 0, "code");
    expect(sameContent(one, two)).toBe(false);
  });
});

describe("two people at once", () => {
  it("keeps what one types into a cell the other moves", () => {
    const { one, two, meet, ids } = pair("a", "b", "c");
    operations.moveCells(one, [at(ids, 0)], 2);
    operations.setSource(two, at(ids, 0), "a, typed");
    meet();
    expect(sources(one)).toEqual(["b", "c", "a, typed"]);
    expect(sources(two)).toEqual(sources(one));
  });

  it("keeps both cells added at the same place, and leaves room between and around them", () => {
    const { one, two, meet } = pair("a", "z");
    operations.addCell(one, 1, "code", "one");
    operations.addCell(two, 1, "code", "two");
    meet();
    expect(sources(one)).toEqual(sources(two));
    expect(sources(one).slice(1, 3).sort()).toEqual(["one", "two"]);
    operations.addCell(one, 2, "code", "later");
    operations.addCell(one, 1, "code", "first");
    meet();
    expect(sources(two)).toEqual(sources(one));
    expect(sources(one)[1]).toBe("first");
    expect(sources(one).at(-1)).toBe("z");
  });

  it("deletes a cell for both even if one types in it", () => {
    const { one, two, meet, ids } = pair("a", "b");
    operations.deleteCells(one, [at(ids, 0)]);
    operations.setSource(two, at(ids, 0), "typed");
    meet();
    expect(sources(one)).toEqual(["b"]);
    expect(sources(two)).toEqual(["b"]);
  });

  it("merges two edits of one text", () => {
    const { one, two, meet, ids } = pair("hello world");
    operations.setSource(one, at(ids, 0), "hello brave world");
    operations.setSource(two, at(ids, 0), "hello world!");
    meet();
    expect(sources(one)).toEqual(["hello brave world!"]);
  });
});

describe("the model's signals", () => {
  it("change only for the cell that changed", () => {
    const { one, ids } = pair("a", "b");
    const model = new NotebookModel(one);
    const orderBefore = model.order.value;
    const heard: string[] = [];
    for (const id of ids) model.cell(id)?.source.subscribe((source) => heard.push(source));
    heard.length = 0;
    operations.setSource(one, at(ids, 1), "b2");
    expect(heard).toEqual(["b2"]);
    expect(model.order.value).toBe(orderBefore);
  });

  it("follow a deletion that is undone, with the new text", () => {
    const { one, ids } = pair("a", "b");
    const model = new NotebookModel(one);
    const undo = new Y.UndoManager(cellsOf(one), { trackedOrigins: new Set<unknown>([operations.CellOperation]) });
    operations.deleteCells(one, [at(ids, 0)]);
    expect(model.order.value).toHaveLength(1);
    undo.undo();
    expect(model.order.value).toEqual(ids);
    operations.setSource(one, at(ids, 0), "again");
    expect(model.cell(at(ids, 0))?.source.value).toBe("again");
  });

  it("follow type, metadata and position", () => {
    const { one, ids } = pair("a", "b");
    const model = new NotebookModel(one);
    operations.changeType(one, [at(ids, 0)], "markdown");
    operations.setCellMetadata(one, at(ids, 0), "tags", ["t"]);
    operations.moveCells(one, [at(ids, 0)], 1);
    expect(model.cell(at(ids, 0))?.type.value).toBe("markdown");
    expect(model.cell(at(ids, 0))?.metadata.value).toEqual({ tags: ["t"] });
    expect(model.order.value).toEqual([...ids].reverse());
  });
});
