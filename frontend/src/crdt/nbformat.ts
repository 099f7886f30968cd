/** Cells as nbformat: for the clipboard and for recovered drafts. Pure but for reading the document. */

import * as Y from "yjs";

import {
  type CellContent,
  cellsOf,
  isCellType,
  isJsonObject,
  type Json,
  type JsonObject,
  notebookOf,
  orderedCellIds,
  readCell,
} from "./schema";

export const CLIPBOARD_TYPE = "application/vnd.jupyter.cells";
const MARK = "nbformat"; // what tells pasted text that it is cells

/** One cell as nbformat 4.5 writes it; a code cell carries `outputs` when given. */
export function toNbformatCell(content: CellContent, id?: string, outputs: Json[] = [], executionCount: number | null = null): JsonObject {
  const cell: JsonObject = { ...content.extra, cell_type: content.type, metadata: content.metadata, source: content.source };
  if (id !== undefined) cell.id = id;
  if (content.attachments) cell.attachments = content.attachments;
  if (content.type === "code") {
    cell.outputs = outputs;
    cell.execution_count = executionCount;
  }
  return cell;
}

const joined = (value: Json | undefined): string =>
  typeof value === "string" ? value : Array.isArray(value) ? value.filter((line) => typeof line === "string").join("") : "";

/** A cell from nbformat JSON of anywhere, without its outputs; null when it is none. */
export function fromNbformatCell(value: Json | undefined): CellContent | null {
  if (!isJsonObject(value) || !isCellType(value.cell_type)) return null;
  const content: CellContent = {
    type: value.cell_type,
    source: joined(value.source),
    metadata: isJsonObject(value.metadata) ? value.metadata : {},
  };
  if (isJsonObject(value.attachments)) content.attachments = value.attachments;
  return content;
}

/** Text for the clipboard: a small valid notebook, so that it can be pasted into a file too. */
export function cellsToClipboard(cells: JsonObject[]): string {
  return JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 });
}

/** Cells of clipboard text: a notebook, or a list of cells as JupyterLab copies them; null when it is neither. */
export function cellsFromClipboard(text: string): CellContent[] | null {
  const trimmed = text.trimStart();
  if (!trimmed.startsWith("{") && !trimmed.startsWith("[")) return null;
  let value: Json;
  try {
    value = JSON.parse(trimmed) as Json;
  } catch {
    return null;
  }
  const list = Array.isArray(value) ? value : isJsonObject(value) && MARK in value ? value.cells : null;
  if (!Array.isArray(list) || list.length === 0) return null;
  const cells = list.map(fromNbformatCell);
  return cells.every((cell) => cell !== null) ? cells : null;
}

/** The authored part of the whole document as a notebook. */
export function documentToNbformat(doc: Y.Doc): JsonObject {
  const notebook = notebookOf(doc);
  const metadata = notebook.get("metadata");
  const extra = notebook.get("extra");
  const cells = cellsOf(doc);
  return {
    ...(isJsonObject(extra) ? extra : {}),
    cells: orderedCellIds(doc).flatMap((id) => {
      const cell = cells.get(id);
      return cell ? [toNbformatCell(readCell(cell), id)] : [];
    }),
    metadata: metadata instanceof Y.Map ? (metadata.toJSON() as JsonObject) : {},
    nbformat: 4,
    nbformat_minor: 5,
  };
}

/** Whether both documents hold the same cells, types, order and sources. */
export function sameContent(left: Y.Doc, right: Y.Doc): boolean {
  const essence = (doc: Y.Doc): string => {
    const cells = cellsOf(doc);
    return JSON.stringify(
      orderedCellIds(doc).map((id) => {
        const cell = cells.get(id);
        return cell ? [readCell(cell).type, readCell(cell).source] : [];
      }),
    );
  };
  return essence(left) === essence(right);
}
