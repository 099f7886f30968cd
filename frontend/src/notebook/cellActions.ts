/** What a person does with cells, by key, button or menu: each acts on the selection and says what happened. */

import type * as Y from "yjs";

import {
  cellsFromClipboard,
  cellsToClipboard,
  toNbformatCell,
} from "../crdt/nbformat";
import * as operations from "../crdt/operations";
import { type CellContent, type CellType, cellsOf, type Json, type JsonObject, readCell } from "../crdt/schema";
import { toast } from "../ui/toast";
import type { OpenNotebook } from "./openNotebook";

/** What was copied last in this page, for V; Ctrl-V reads the system's clipboard. */
let copied: string | null = null;

/** Runs an operation as one step of undo. */
function step<T>(notebook: OpenNotebook, run: (doc: Y.Doc) => T): T {
  notebook.undo.separate();
  const result = run(notebook.doc);
  notebook.undo.separate();
  return result;
}

function activeIndex(notebook: OpenNotebook): number {
  const active = notebook.selection.active.peek();
  return active === null ? notebook.model.order.peek().length - 1 : notebook.model.indexOf(active);
}

export function addCell(notebook: OpenNotebook, where: "above" | "below" | number, type: CellType = "code", mode: "command" | "edit" = "command"): string {
  const { selection, model } = notebook;
  const selected = selection.selected.peek();
  const edge = where === "above" ? selected[0] : selected.at(-1);
  const at = typeof where === "number" ? where : (edge === undefined ? model.order.peek().length : model.indexOf(edge) + (where === "below" ? 1 : 0));
  const id = step(notebook, (doc) => operations.addCell(doc, at, type));
  if (type === "markdown") notebook.setMarkdownOpen([id], true);
  if (mode === "edit") notebook.edit(id);
  else {
    selection.select(id);
    notebook.reveal(id);
  }
  return id;
}

export function deleteSelected(notebook: OpenNotebook): void {
  const deleted = step(notebook, (doc) => operations.deleteCells(doc, notebook.selection.selected.peek()));
  if (deleted.length === 0) {
    toast({ text: "This cell is marked as not deletable." });
    return;
  }
  const wasEmpty = deleted.every((cell) => cell.content.source.trim() === "");
  if (notebook.model.order.peek().length === 0) addCell(notebook, 0);
  if (wasEmpty) return; // nothing worth a word; Z brings it back
  toast({
    text: deleted.length === 1 ? "Cell deleted" : `${String(deleted.length)} cells deleted`,
    action: { label: "Undo", run: () => restore(notebook, deleted) },
  });
}

function restore(notebook: OpenNotebook, deleted: operations.DeletedCell[]): void {
  const [first] = step(notebook, (doc) => operations.restoreCells(doc, deleted));
  if (first === undefined) return;
  notebook.selection.select(first);
  notebook.reveal(first);
}

function selectedAsNbformat(notebook: OpenNotebook): JsonObject[] {
  return notebook.selection.selected.peek().flatMap((id) => {
    const cell = cellsOf(notebook.doc).get(id);
    if (!cell) return [];
    const state = notebook.log.cell(id).peek();
    const outputs = state.outputs.flatMap((output) => nbformatOutput(output as unknown as JsonObject));
    return [toNbformatCell(readCell(cell), id, outputs, state.execution_count)];
  });
}

/** A folded output as nbformat: what is kept as a blob elsewhere stays behind. */
function nbformatOutput(output: JsonObject): Json[] {
  switch (output.output_type) {
    case "stream":
      return [{ output_type: "stream", name: output.name ?? "stdout", text: output.text ?? "" }];
    case "error":
      return [{ output_type: "error", ename: output.ename ?? "", evalue: output.evalue ?? "", traceback: output.traceback ?? [] }];
    case "display_data":
      return [{ output_type: "display_data", data: output.data ?? {}, metadata: output.metadata ?? {} }];
    case "execute_result":
      return [{ output_type: "execute_result", data: output.data ?? {}, metadata: output.metadata ?? {}, execution_count: output.execution_count ?? null }];
    default:
      return [];
  }
}

/** Text of the selected cells for the clipboard; kept for V too. */
export function copySelected(notebook: OpenNotebook): string {
  copied = cellsToClipboard(selectedAsNbformat(notebook));
  return copied;
}

export async function copyToClipboard(notebook: OpenNotebook): Promise<void> {
  const text = copySelected(notebook);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without the permission (or TLS) V still pastes within this page.
  }
}

export async function cutToClipboard(notebook: OpenNotebook): Promise<void> {
  const done = copyToClipboard(notebook);
  step(notebook, (doc) => operations.deleteCells(doc, notebook.selection.selected.peek()));
  if (notebook.model.order.peek().length === 0) addCell(notebook, 0);
  await done;
}

/** Pastes cells of `text` (or what was copied here). False when it holds no cells. */
export function pasteCells(notebook: OpenNotebook, where: "above" | "below", text: string | null = copied): boolean {
  const cells = text === null ? null : cellsFromClipboard(text);
  if (!cells) return false;
  const size = cells.reduce((sum, cell) => sum + cell.source.length + JSON.stringify(cell.attachments ?? {}).length, 0);
  if (size > notebook.host.mostCharacters()) {
    notebook.host.onTooLarge();
    return true;
  }
  const selected = notebook.selection.selected.peek();
  const edge = where === "above" ? selected[0] : selected.at(-1);
  const at = edge === undefined ? notebook.model.order.peek().length : notebook.model.indexOf(edge) + (where === "below" ? 1 : 0);
  const ids = step(notebook, (doc) => operations.addCells(doc, at, cells));
  const last = ids.at(-1);
  if (last !== undefined) {
    notebook.selection.select(last);
    notebook.reveal(last);
  }
  return true;
}

/** A copy of the selected cells right below them. */
export function duplicateSelected(notebook: OpenNotebook): void {
  const cells = notebook.selection.selected.peek().flatMap((id): CellContent[] => {
    const cell = cellsOf(notebook.doc).get(id);
    return cell ? [readCell(cell)] : [];
  });
  const last = notebook.selection.selected.peek().at(-1);
  if (last === undefined) return;
  const ids = step(notebook, (doc) => operations.addCells(doc, notebook.model.indexOf(last) + 1, cells));
  if (ids[0] !== undefined) notebook.selection.select(ids[0]);
}

export function changeType(notebook: OpenNotebook, type: CellType): void {
  const ids = notebook.selection.selected.peek();
  if (type === "markdown") notebook.setMarkdownOpen(ids, true);
  step(notebook, (doc) => operations.changeType(doc, ids, type));
}

export function makeHeading(notebook: OpenNotebook, level: number): void {
  const id = notebook.selection.active.peek();
  if (id === null) return;
  notebook.setMarkdownOpen([id], true);
  step(notebook, (doc) => operations.makeHeading(doc, id, level));
}

export function splitAtCursor(notebook: OpenNotebook): void {
  const id = notebook.selection.active.peek();
  const view = id === null ? undefined : notebook.editors.get(id)?.view;
  if (id === null || !view) return;
  const made = step(notebook, (doc) => operations.splitCell(doc, id, view.state.selection.main.head));
  if (made !== null) notebook.edit(made, "start");
}

/** Joins the selected cells, or the active one with the one below. */
export function mergeSelected(notebook: OpenNotebook): void {
  const selected = notebook.selection.selected.peek();
  const below = notebook.selection.neighbour(1);
  const ids = selected.length > 1 || below === null ? selected : [...selected, below];
  const first = step(notebook, (doc) => operations.mergeCells(doc, ids));
  if (first !== null) notebook.selection.select(first);
}

export function moveSelected(notebook: OpenNotebook, direction: -1 | 1): void {
  const ids = notebook.selection.selected.peek();
  const first = ids[0];
  if (first === undefined) return;
  const at = notebook.model.indexOf(first) + direction;
  if (at < 0 || at + ids.length > notebook.model.order.peek().length) return;
  moveTo(notebook, ids, at);
}

/** `index` counts among the cells that stay. */
export function moveTo(notebook: OpenNotebook, ids: readonly string[], index: number): void {
  const active = notebook.selection.active.peek();
  step(notebook, (doc) => operations.moveCells(doc, ids, index));
  if (active !== null) notebook.reveal(active);
}

/** Hides or shows outputs or sources of the selected cells, by the metadata JupyterLab uses. */
export function toggleHidden(notebook: OpenNotebook, key: "outputs_hidden" | "source_hidden"): void {
  const ids = notebook.selection.selected.peek();
  const hidden = ids.some((id) => !isHidden(notebook.model.cell(id)?.metadata.peek(), key));
  step(notebook, (doc) => {
    doc.transact(() => {
      for (const id of ids) {
        const jupyter = notebook.model.cell(id)?.metadata.peek().jupyter;
        const known: JsonObject = typeof jupyter === "object" && jupyter !== null && !Array.isArray(jupyter) ? jupyter : {};
        const others = Object.fromEntries(Object.entries(known).filter(([name]) => name !== key));
        const next: JsonObject = hidden ? { ...others, [key]: true } : others;
        operations.setCellMetadata(doc, id, "jupyter", Object.keys(next).length ? next : undefined);
      }
    }, new operations.CellOperation("hide"));
  });
}

export function isHidden(metadata: JsonObject | undefined, key: "outputs_hidden" | "source_hidden"): boolean {
  const jupyter = metadata?.jupyter;
  return typeof jupyter === "object" && jupyter !== null && !Array.isArray(jupyter) && jupyter[key] === true;
}

export function activeCellIndex(notebook: OpenNotebook): number {
  return activeIndex(notebook);
}
