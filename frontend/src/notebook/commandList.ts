/** Every command of the notebook, with Jupyter's keys. Palette, help, toolbar and keymap read this list. */

import { closePopups, hasOpenPopup } from "../editor/cellEditor";
import type { Command } from "../store/commands";
import * as cells from "./cellActions";
import type { OpenNotebook } from "./openNotebook";
import * as runs from "./runActions";
import { nameVersion } from "./versions";

/** Where the keyboard is: told by the view, which knows its elements. */
export interface KeyboardPlace {
  /** The notebook is the tab in front. */
  isActive(): boolean;
  /** The focus is on a cell (not in a text, on a button, in a dialog or a frame). */
  isOnCells(): boolean;
  /** The focus is in this notebook's cells, in an editor or not. */
  isInCells(): boolean;
  scrollPage(direction: -1 | 1): void;
}

const COMMAND_MODE = "Notebook: command mode";
const EDIT_MODE = "Notebook: edit mode";
const BOTH = "Notebook";

export function notebookCommands(notebook: OpenNotebook, place: KeyboardPlace): Command[] {
  const { selection } = notebook;
  const canEdit = (): boolean => notebook.canEdit.peek();
  const editor = () => notebook.editors.get(selection.active.peek() ?? "")?.view;
  const inCommandMode = (): boolean => place.isActive() && selection.mode.peek() === "command" && place.isOnCells();
  const editable = (): boolean => inCommandMode() && canEdit();
  const typing = (): boolean => place.isActive() && selection.mode.peek() === "edit" && place.isInCells();
  const either = (): boolean => place.isActive() && canEdit() && (typing() || inCommandMode());
  const openTab = (): boolean => place.isActive();
  const openEditable = (): boolean => place.isActive() && canEdit();
  const step = (by: number) => (): void => {
    const next = selection.neighbour(by);
    if (next === null) return;
    selection.select(next);
    notebook.reveal(next);
  };
  const extend = (by: number) => (): void => {
    const next = selection.neighbour(by);
    if (next === null) return;
    selection.extendTo(next);
    notebook.reveal(next);
  };
  const jump = (to: "first" | "last") => (): void => {
    const order = notebook.model.order.peek();
    const id = to === "first" ? order[0] : order.at(-1);
    if (id === undefined) return;
    selection.select(id);
    notebook.reveal(id);
  };

  const list: Command[] = [
    // Running
    { id: "notebook.run-cell-select-next", title: "Run cell and select next", group: BOTH, keys: ["Shift-Enter"], whileTyping: true, when: either, run: () => runs.runSelected(notebook, "next") },
    { id: "notebook.run-cell", title: "Run cell", group: BOTH, keys: ["Mod-Enter", "Ctrl-Enter"], whileTyping: true, when: either, run: () => runs.runSelected(notebook, "stay") },
    { id: "notebook.run-cell-insert", title: "Run cell and insert below", group: BOTH, keys: ["Alt-Enter"], whileTyping: true, when: either, run: () => runs.runSelected(notebook, "insert") },
    { id: "notebook.run-all", title: "Run all cells", group: BOTH, when: openEditable, run: () => runs.runAll(notebook) },
    { id: "notebook.run-above", title: "Run all cells above", group: BOTH, when: openEditable, run: () => runs.runAbove(notebook) },
    { id: "notebook.run-below", title: "Run cell and all below", group: BOTH, when: openEditable, run: () => runs.runBelow(notebook) },
    { id: "notebook.interrupt", title: "Interrupt the kernel", group: COMMAND_MODE, keys: ["I I"], when: editable, run: () => runs.interrupt(notebook) },
    { id: "notebook.restart", title: "Restart the kernel", group: COMMAND_MODE, keys: ["0 0"], when: editable, run: () => runs.restart(notebook) },
    { id: "notebook.restart-run-all", title: "Restart the kernel and run all cells", group: BOTH, when: openEditable, run: () => runs.restart(notebook, "run all") },
    { id: "notebook.shut-down", title: "Shut down the kernel", group: BOTH, when: openEditable, run: () => runs.shutDown(notebook) },
    { id: "notebook.clear-outputs", title: "Clear outputs of the selected cells", group: BOTH, when: openEditable, run: () => runs.clearOutputs(notebook, selection.selected.peek()) },
    { id: "notebook.clear-all-outputs", title: "Clear all outputs", group: BOTH, when: openEditable, run: () => runs.clearOutputs(notebook, notebook.model.order.peek()) },

    // Modes
    { id: "notebook.enter-edit-mode", title: "Edit the cell", group: COMMAND_MODE, keys: ["Enter"], inPalette: false, when: inCommandMode, run: () => editActive(notebook) },
    { id: "notebook.leave-edit-mode", title: "Leave the editor", group: EDIT_MODE, keys: ["Escape", "Ctrl-M"], whileTyping: true, inPalette: false, when: () => typing() && !isPopupOpen(notebook), run: () => leaveEditor(notebook) },
    { id: "notebook.close-popup", title: "Close the suggestions", group: EDIT_MODE, keys: ["Escape"], whileTyping: true, inPalette: false, when: () => typing() && isPopupOpen(notebook), run: () => { const view = editor(); if (view) closePopups(view); } },

    // Moving
    { id: "notebook.select-previous", title: "Select the cell above", group: COMMAND_MODE, keys: ["ArrowUp", "K"], inPalette: false, when: inCommandMode, run: step(-1) },
    { id: "notebook.select-next", title: "Select the cell below", group: COMMAND_MODE, keys: ["ArrowDown", "J"], inPalette: false, when: inCommandMode, run: step(1) },
    { id: "notebook.extend-up", title: "Extend the selection upwards", group: COMMAND_MODE, keys: ["Shift-ArrowUp", "Shift-K"], inPalette: false, when: inCommandMode, run: extend(-1) },
    { id: "notebook.extend-down", title: "Extend the selection downwards", group: COMMAND_MODE, keys: ["Shift-ArrowDown", "Shift-J"], inPalette: false, when: inCommandMode, run: extend(1) },
    { id: "notebook.select-all", title: "Select all cells", group: COMMAND_MODE, keys: ["Mod-A"], when: inCommandMode, run: () => selection.selectAll() },
    { id: "notebook.first-cell", title: "Go to the first cell", group: COMMAND_MODE, keys: ["Home", "Mod-Home", "Mod-ArrowUp"], when: inCommandMode, run: jump("first") },
    { id: "notebook.last-cell", title: "Go to the last cell", group: COMMAND_MODE, keys: ["End", "Mod-End", "Mod-ArrowDown"], when: inCommandMode, run: jump("last") },
    { id: "notebook.scroll-down", title: "Scroll down", group: COMMAND_MODE, keys: ["Space"], inPalette: false, when: inCommandMode, run: () => place.scrollPage(1) },
    { id: "notebook.scroll-up", title: "Scroll up", group: COMMAND_MODE, keys: ["Shift-Space"], inPalette: false, when: inCommandMode, run: () => place.scrollPage(-1) },

    // Cells
    { id: "notebook.insert-above", title: "Insert a cell above", group: COMMAND_MODE, keys: ["A"], when: editable, run: () => void cells.addCell(notebook, "above") },
    { id: "notebook.insert-below", title: "Insert a cell below", group: COMMAND_MODE, keys: ["B"], when: editable, run: () => void cells.addCell(notebook, "below") },
    { id: "notebook.delete", title: "Delete the selected cells", group: COMMAND_MODE, keys: ["D D"], when: editable, run: () => cells.deleteSelected(notebook) },
    { id: "notebook.cut", title: "Cut the selected cells", group: COMMAND_MODE, keys: ["X"], when: editable, run: () => cells.cutToClipboard(notebook) },
    { id: "notebook.copy", title: "Copy the selected cells", group: COMMAND_MODE, keys: ["C"], when: inCommandMode, run: () => cells.copyToClipboard(notebook) },
    { id: "notebook.paste-below", title: "Paste cells below", group: COMMAND_MODE, keys: ["V"], when: editable, run: () => void cells.pasteCells(notebook, "below") },
    { id: "notebook.paste-above", title: "Paste cells above", group: COMMAND_MODE, keys: ["Shift-V"], when: editable, run: () => void cells.pasteCells(notebook, "above") },
    { id: "notebook.duplicate", title: "Duplicate the selected cells", group: BOTH, when: openEditable, run: () => cells.duplicateSelected(notebook) },
    { id: "notebook.undo", title: "Undo", group: COMMAND_MODE, keys: ["Z", "Mod-Z"], when: () => editable() && notebook.undo.canUndo, run: () => void notebook.undo.undo() },
    { id: "notebook.redo", title: "Redo", group: COMMAND_MODE, keys: ["Shift-Z", "Mod-Shift-Z", "Mod-Y"], when: () => editable() && notebook.undo.canRedo, run: () => void notebook.undo.redo() },
    { id: "notebook.to-markdown", title: "Turn into Markdown", group: COMMAND_MODE, keys: ["M"], when: editable, run: () => cells.changeType(notebook, "markdown") },
    { id: "notebook.to-code", title: "Turn into code", group: COMMAND_MODE, keys: ["Y"], when: editable, run: () => cells.changeType(notebook, "code") },
    { id: "notebook.to-raw", title: "Turn into raw text", group: COMMAND_MODE, keys: ["R"], when: editable, run: () => cells.changeType(notebook, "raw") },
    { id: "notebook.merge", title: "Merge the selected cells, or with the cell below", group: COMMAND_MODE, keys: ["Shift-M"], when: editable, run: () => cells.mergeSelected(notebook) },
    { id: "notebook.split", title: "Split the cell at the cursor", group: EDIT_MODE, keys: ["Ctrl-Shift--"], whileTyping: true, when: () => typing() && canEdit(), run: () => cells.splitAtCursor(notebook) },
    { id: "notebook.move-up", title: "Move the selected cells up", group: COMMAND_MODE, keys: ["Ctrl-Shift-ArrowUp", "Alt-ArrowUp"], when: editable, run: () => cells.moveSelected(notebook, -1) },
    { id: "notebook.move-down", title: "Move the selected cells down", group: COMMAND_MODE, keys: ["Ctrl-Shift-ArrowDown", "Alt-ArrowDown"], when: editable, run: () => cells.moveSelected(notebook, 1) },

    // Every change is saved by itself: what a person who saves means is a state to come back to.
    { id: "notebook.name-version", title: "Name this version", group: BOTH, keys: ["Mod-S"], whileTyping: true, when: openEditable, run: () => nameVersion(notebook.versions) },

    // Looks
    { id: "notebook.toggle-output", title: "Hide or show the outputs", group: COMMAND_MODE, keys: ["O"], when: editable, run: () => cells.toggleHidden(notebook, "outputs_hidden") },
    { id: "notebook.toggle-source", title: "Hide or show the code", group: BOTH, when: openEditable, run: () => cells.toggleHidden(notebook, "source_hidden") },
    { id: "notebook.toggle-line-numbers", title: "Show or hide line numbers", group: COMMAND_MODE, keys: ["L", "Shift-L"], when: inCommandMode, run: () => void (notebook.lineNumbers.value = !notebook.lineNumbers.peek()) },
    { id: "notebook.follow", title: "Stay with the running cell", group: BOTH, when: openTab, run: () => void (notebook.isFollowing.value = !notebook.isFollowing.peek()) },
  ];
  for (let level = 1; level <= 6; level += 1) {
    list.push({ id: `notebook.heading-${String(level)}`, title: `Turn into heading ${String(level)}`, group: COMMAND_MODE, keys: [String(level)], inPalette: false, when: editable, run: () => cells.makeHeading(notebook, level) });
  }
  // The palette is a dialog: its commands act on the selection, wherever the focus was.
  return list;
}

function editActive(notebook: OpenNotebook): void {
  const id = notebook.selection.active.peek();
  if (id !== null) notebook.edit(id);
}

function isPopupOpen(notebook: OpenNotebook): boolean {
  const view = notebook.editors.get(notebook.selection.active.peek() ?? "")?.view;
  return view !== undefined && hasOpenPopup(view);
}

function leaveEditor(notebook: OpenNotebook): void {
  notebook.undo.separate();
  notebook.selection.setMode("command");
  // At once, not with the next drawing: the next key must not be typed into the editor that was left.
  document.activeElement?.closest<HTMLElement>("[data-cell-id]")?.focus({ preventScroll: true });
}
