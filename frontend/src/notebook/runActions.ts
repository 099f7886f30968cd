/** Running: which cells, in what order, and what happens around it. */

import { requestJson } from "../api/client";
import { notebookOf } from "../crdt/schema";
import { CellOperation } from "../crdt/operations";
import { explainRefusal } from "../panels/QuotaDialog";
import { confirm } from "../ui/Dialog";
import * as Y from "yjs";
import { addCell } from "./cellActions";
import type { OpenNotebook } from "./openNotebook";
import { RunsError } from "./runsClient";

/** Runs the code cells among `ids` with the sources as they stand here, and renders the Markdown ones. */
export async function runCells(notebook: OpenNotebook, ids: readonly string[]): Promise<void> {
  const cells = [];
  const rendered = [];
  for (const id of ids) {
    const cell = notebook.model.cell(id);
    if (!cell) continue;
    const type = cell.type.peek();
    if (type === "markdown") rendered.push(id);
    const source = cell.source.peek();
    if (type === "code" && source.trim() !== "") cells.push({ cell_id: id, source });
  }
  notebook.setMarkdownOpen(rendered, false);
  if (cells.length === 0 || !notebook.canEdit.peek()) return;
  try {
    // Which kernel: the hub knows what the notebook asks for, and what serves where that is not installed.
    await notebook.runs.run(cells);
  } catch (error) {
    if (!(error instanceof RunsError) || error.error.code === "cancelled") return;
    explainRefusal(error, { label: "Run again", run: () => void runCells(notebook, ids) });
  }
}

export function runSelected(notebook: OpenNotebook, then: "stay" | "next" | "insert"): void {
  const ids = notebook.selection.selected.peek();
  const last = ids.at(-1);
  void runCells(notebook, ids);
  if (last === undefined) return;
  const order = notebook.model.order.peek();
  const next = order[order.indexOf(last) + 1];
  if (then === "insert") addCell(notebook, "below", "code", "edit");
  else if (then === "next" && next === undefined && notebook.canEdit.peek()) addCell(notebook, "below", "code", "edit");
  else {
    const target = then === "next" ? (next ?? last) : last;
    notebook.selection.select(target);
    notebook.reveal(target);
  }
}

export function runAll(notebook: OpenNotebook): void {
  notebook.startFollowing();
  // A click right after opening comes before the cells: it counts as soon as they are there.
  void notebook.whenReady.then(() => runCells(notebook, notebook.model.order.peek()));
}

export function runAbove(notebook: OpenNotebook): void {
  const order = notebook.model.order.peek();
  notebook.startFollowing();
  void runCells(notebook, order.slice(0, order.indexOf(notebook.selection.selected.peek()[0] ?? "")));
}

/** The active cell and all below it. */
export function runBelow(notebook: OpenNotebook): void {
  const order = notebook.model.order.peek();
  notebook.startFollowing();
  void runCells(notebook, order.slice(Math.max(0, order.indexOf(notebook.selection.selected.peek()[0] ?? ""))));
}

export function interrupt(notebook: OpenNotebook): void {
  notebook.runs.interrupt();
}

const isAlive = (notebook: OpenNotebook): boolean => {
  const state = notebook.log.kernel.peek()?.state;
  return state === "idle" || state === "busy" || state === "starting" || state === "restarting";
};

/** Restarts after asking, when there is something to lose. */
export async function restart(notebook: OpenNotebook, then: "nothing" | "run all" = "nothing"): Promise<void> {
  if (isAlive(notebook)) {
    const isAgreed = await confirm({
      title: then === "run all" ? "Restart the kernel and run all cells?" : "Restart the kernel?",
      text: "All variables are lost. Cells and their outputs stay.",
      action: then === "run all" ? "Restart and run all" : "Restart",
      danger: true,
    });
    if (!isAgreed) return;
    notebook.runs.restart();
  } else if (then === "nothing") notebook.runs.start(notebook.kernelspecName.peek() ?? undefined);
  if (then === "run all") runAll(notebook);
}

export function clearOutputs(notebook: OpenNotebook, ids: readonly string[]): void {
  notebook.runs.clearOutputs(ids.filter((id) => notebook.model.cell(id)?.type.peek() === "code"));
}

/** Starts (or switches to) another kernel, and notes it in the notebook. */
export async function chooseKernel(notebook: OpenNotebook, name: string): Promise<void> {
  const spec = notebook.kernelspecs.peek().find((candidate) => candidate.name === name);
  try {
    await requestJson(`documents/${notebook.info.id}/kernel`, { method: "PUT", json: { kernelspec_name: name } });
  } catch (error) {
    explainRefusal(error, { label: "Start it again", run: () => void chooseKernel(notebook, name) });
    return;
  }
  if (!spec || !notebook.canEdit.peek()) return;
  notebook.doc.transact(() => {
    const metadata = notebookOf(notebook.doc).get("metadata");
    if (!(metadata instanceof Y.Map)) return;
    metadata.set("kernelspec", { name: spec.name, display_name: spec.display_name, language: spec.language });
  }, new CellOperation("kernel"));
}

export async function shutDown(notebook: OpenNotebook): Promise<void> {
  const isAgreed = await confirm({
    title: "Shut the kernel down?",
    text: "All variables are lost. Cells and their outputs stay.",
    action: "Shut down",
    danger: true,
  });
  if (isAgreed) notebook.runs.shutdown();
}
