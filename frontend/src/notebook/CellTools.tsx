import { IS_MAC, keysLabel } from "../store/keymap";
import { IconButton } from "../ui/Button";
import { type MenuItem, openMenu } from "../ui/Menu";
import type { CellProps } from "./Cell";
import * as actions from "./cellActions";
import type { OpenNotebook } from "./openNotebook";
import { clearOutputs, runAbove, runBelow } from "./runActions";

/** The small toolbar of the hovered or active cell. */
export function CellTools({ notebook, cell }: CellProps) {
  const own = (run: () => void) => (): void => {
    if (!notebook.selection.selected.peek().includes(cell.id)) notebook.selection.select(cell.id);
    run();
  };
  const isMarkdown = cell.type.value === "markdown";
  const isOpen = notebook.openMarkdown.value.has(cell.id);
  return (
    <div class="nb-tools" role="toolbar" aria-label="Cell" onMouseDown={(event) => event.preventDefault()}>
      {isMarkdown && !isOpen && <IconButton icon="rename" label="Edit text" keys="Enter" size={14} tabIndex={-1} onClick={() => notebook.edit(cell.id)} />}
      {isMarkdown && isOpen && <IconButton icon="check" label="Show as text" keys={keysLabel("Shift-Enter")} size={14} tabIndex={-1} onClick={() => notebook.setMarkdownOpen([cell.id], false)} />}
      <IconButton icon="arrow-up" label="Move up" keys={keysLabel("Alt-ArrowUp")} size={14} tabIndex={-1} onClick={own(() => actions.moveSelected(notebook, -1))} />
      <IconButton icon="arrow-down" label="Move down" keys={keysLabel("Alt-ArrowDown")} size={14} tabIndex={-1} onClick={own(() => actions.moveSelected(notebook, 1))} />
      <IconButton icon="plus" label="Add a cell below" keys="B" size={14} tabIndex={-1} onClick={own(() => void actions.addCell(notebook, "below", "code", "edit"))} />
      <IconButton icon="trash" label="Delete" keys="D D" size={14} tabIndex={-1} onClick={own(() => actions.deleteSelected(notebook))} />
      <IconButton
        icon="more"
        label="More"
        size={14}
        tabIndex={-1}
        aria-haspopup="menu"
        onClick={(event) => {
          own(() => undefined)();
          openMenu(event.currentTarget, cellMenu(notebook), "Cell");
        }}
      />
    </div>
  );
}

function cellMenu(notebook: OpenNotebook): MenuItem[] {
  const type = notebook.model.cell(notebook.selection.active.peek() ?? "")?.type.peek();
  return [
    { label: "Run all above", icon: "arrow-up", run: () => runAbove(notebook) },
    { label: "Run this and all below", icon: "arrow-down", run: () => runBelow(notebook) },
    "separator",
    { label: "Cut", icon: "cut", keys: "X", run: () => actions.cutToClipboard(notebook) },
    { label: "Copy", icon: "copy", keys: "C", run: () => actions.copyToClipboard(notebook) },
    { label: "Paste below", keys: "V", run: () => void actions.pasteCells(notebook, "below") },
    { label: "Duplicate", run: () => actions.duplicateSelected(notebook) },
    { label: "Merge with the next", keys: IS_MAC ? "⇧M" : "Shift+M", run: () => actions.mergeSelected(notebook) },
    "separator",
    { label: "Code", icon: "code", keys: "Y", checked: type === "code", run: () => actions.changeType(notebook, "code") },
    { label: "Text (Markdown)", icon: "markdown", keys: "M", checked: type === "markdown", run: () => actions.changeType(notebook, "markdown") },
    { label: "Raw", keys: "R", checked: type === "raw", run: () => actions.changeType(notebook, "raw") },
    "separator",
    { label: "Hide or show outputs", icon: "eye", keys: "O", run: () => actions.toggleHidden(notebook, "outputs_hidden") },
    { label: "Hide or show code", run: () => actions.toggleHidden(notebook, "source_hidden") },
    { label: "Clear outputs", run: () => clearOutputs(notebook, notebook.selection.selected.peek()) },
  ];
}
