/** What a person does with cells, each one transaction with the person's own origin (so that it can be undone). */

import * as Y from "yjs";

import {
  type CellContent,
  type CellType,
  cellsOf,
  isCell,
  makeCell,
  newCellId,
  orderedCellIds,
  positionsAt,
  readCell,
  textOf,
} from "./schema";

/** Origin of all cell operations of this browser: what its undo manager tracks. */
export class CellOperation {
  constructor(readonly name: string) {}
}

function change<T>(doc: Y.Doc, name: string, run: () => T): T {
  return doc.transact(run, new CellOperation(name));
}

export interface DeletedCell {
  id: string;
  content: CellContent;
  position: string;
}

/** Adds cells before the one at `index`; gives their ids. */
export function addCells(doc: Y.Doc, index: number, contents: CellContent[], ids: string[] = []): string[] {
  if (contents.length === 0) return [];
  return change(doc, "add", () => {
    const positions = positionsAt(doc, index, contents.length);
    const cells = cellsOf(doc);
    return contents.map((content, at) => {
      const wanted = ids[at];
      const id = wanted !== undefined && !cells.has(wanted) ? wanted : newCellId();
      cells.set(id, makeCell(content, positions[at] ?? ""));
      return id;
    });
  });
}

export function addCell(doc: Y.Doc, index: number, type: CellType, source = ""): string {
  return addCells(doc, index, [{ type, source, metadata: {} }])[0] ?? "";
}

/** Deletes the cells; gives what `restoreCells` needs to put them back. Protected cells (`deletable: false`) stay. */
export function deleteCells(doc: Y.Doc, ids: readonly string[]): DeletedCell[] {
  return change(doc, "delete", () => {
    const cells = cellsOf(doc);
    const deleted: DeletedCell[] = [];
    for (const id of ids) {
      const cell = cells.get(id);
      if (!isCell(cell)) continue;
      const content = readCell(cell);
      if (content.metadata.deletable === false) continue;
      deleted.push({ id, content, position: cell.get("position") as string });
      cells.delete(id);
    }
    return deleted;
  });
}

/** Puts deleted cells back where they were, with their ids, so that their outputs are theirs again. */
export function restoreCells(doc: Y.Doc, deleted: readonly DeletedCell[]): string[] {
  return change(doc, "restore", () => {
    const cells = cellsOf(doc);
    const restored: string[] = [];
    for (const { id, content, position } of deleted) {
      if (cells.has(id)) continue;
      cells.set(id, makeCell(content, position));
      restored.push(id);
    }
    return restored;
  });
}

/** Moves the cells (kept together, in their order) so that they stand before what is at `index` among the others. */
export function moveCells(doc: Y.Doc, ids: readonly string[], index: number): void {
  const moving = new Set(ids);
  const inOrder = orderedCellIds(doc).filter((id) => moving.has(id));
  if (inOrder.length === 0) return;
  change(doc, "move", () => {
    const positions = positionsAt(doc, index, inOrder.length, moving);
    inOrder.forEach((id, at) => cellsOf(doc).get(id)?.set("position", positions[at]));
  });
}

export function changeType(doc: Y.Doc, ids: readonly string[], type: CellType): void {
  change(doc, "change type", () => {
    for (const id of ids) {
      const cell = cellsOf(doc).get(id);
      if (isCell(cell) && cell.get("type") !== type) cell.set("type", type);
    }
  });
}

/** Makes a Markdown heading of the cell: the first line gets `level` hashes. */
export function makeHeading(doc: Y.Doc, id: string, level: number): void {
  const cell = cellsOf(doc).get(id);
  if (!isCell(cell)) return;
  change(doc, "heading", () => {
    if (cell.get("type") !== "markdown") cell.set("type", "markdown");
    const text = textOf(cell);
    const old = /^\s*#{0,6}\s*/.exec(text.toString())?.[0] ?? "";
    if (old.length) text.delete(0, old.length);
    text.insert(0, `${"#".repeat(level)} `);
  });
}

/** Splits the cell at a position of its text (UTF-16 units): the end goes to a new cell below. Gives the new id. */
export function splitCell(doc: Y.Doc, id: string, at: number): string | null {
  const cell = cellsOf(doc).get(id);
  if (!isCell(cell)) return null;
  return change(doc, "split", () => {
    const text = textOf(cell);
    const source = text.toString();
    const head = source.slice(0, at).replace(/\n$/, "");
    const tail = source.slice(at).replace(/^\n/, "");
    if (source.length > head.length) text.delete(head.length, source.length - head.length);
    const { type, metadata } = readCell(cell);
    const index = orderedCellIds(doc).indexOf(id) + 1;
    const made = newCellId();
    cellsOf(doc).set(made, makeCell({ type, source: tail, metadata }, positionsAt(doc, index, 1)[0] ?? ""));
    return made;
  });
}

/** Joins the cells into the first one, with `\n` between (`\n\n` for Markdown). Gives its id. */
export function mergeCells(doc: Y.Doc, ids: readonly string[]): string | null {
  const chosen = new Set(ids);
  const [first, ...rest] = orderedCellIds(doc).filter((id) => chosen.has(id));
  const cells = cellsOf(doc);
  const target = first === undefined ? undefined : cells.get(first);
  if (first === undefined || !isCell(target) || rest.length === 0) return null;
  change(doc, "merge", () => {
    const text = textOf(target);
    const glue = target.get("type") === "markdown" ? "\n\n" : "\n";
    let attachments = readCell(target).attachments;
    for (const id of rest) {
      const cell = cells.get(id);
      if (!isCell(cell)) continue;
      const content = readCell(cell);
      text.insert(text.length, glue + content.source);
      if (content.attachments) attachments = { ...content.attachments, ...attachments };
      cells.delete(id);
    }
    if (attachments) target.set("attachments", attachments);
  });
  return first;
}

/** Sets (or with `undefined` removes) one key of the cell's metadata. */
export function setCellMetadata(doc: Y.Doc, id: string, key: string, value: CellContent["metadata"][string] | undefined): void {
  const cell = cellsOf(doc).get(id);
  if (!isCell(cell)) return;
  change(doc, "metadata", () => {
    let metadata = cell.get("metadata");
    if (!(metadata instanceof Y.Map)) {
      metadata = new Y.Map();
      cell.set("metadata", metadata);
    }
    if (value === undefined) (metadata as Y.Map<unknown>).delete(key);
    else (metadata as Y.Map<unknown>).set(key, value);
  });
}

/** Replaces the whole source, changing only what differs between common start and end. */
export function setSource(doc: Y.Doc, id: string, source: string): void {
  const cell = cellsOf(doc).get(id);
  if (!isCell(cell)) return;
  change(doc, "source", () => {
    const text = textOf(cell);
    const old = text.toString();
    const most = Math.min(old.length, source.length);
    let start = 0;
    while (start < most && old[start] === source[start]) start += 1;
    let end = 0;
    while (end < most - start && old[old.length - 1 - end] === source[source.length - 1 - end]) end += 1;
    if (old.length - end > start) text.delete(start, old.length - end - start);
    if (source.length - end > start) text.insert(start, source.slice(start, source.length - end));
  });
}
