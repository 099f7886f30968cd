/** What stands above the cells: running, adding, the cell's type, the kernel. */

import { useComputed } from "@preact/signals";

import type { CellType } from "../crdt/schema";
import type { Command } from "../store/commands";
import { ordinal } from "../store/format";
import { keysLabel } from "../store/keymap";
import { IconButton } from "../ui/Button";
import { Icon, type IconName } from "../ui/Icon";
import { type MenuItem, openMenu } from "../ui/Menu";
import { addCell, changeType } from "./cellActions";
import type { OpenNotebook } from "./openNotebook";
import { chooseKernel, clearOutputs, interrupt, restart, runAbove, runAll, runBelow, runSelected, shutDown } from "./runActions";

interface ToolbarProps {
  notebook: OpenNotebook;
  commands: readonly Command[];
}

export function Toolbar({ notebook, commands }: ToolbarProps) {
  const isBusy = useComputed(() => {
    const state = notebook.log.kernel.value?.state;
    return state === "busy" || state === "starting" || state === "pending" || state === "restarting";
  }).value;
  const keys = (id: string): string | undefined => {
    const first = commands.find((command) => command.id === id)?.keys?.[0];
    return first === undefined ? undefined : keysLabel(first);
  };
  const tool = (icon: IconName, label: string, id: string, run: () => void, disabled = false) => (
    <IconButton icon={icon} label={label} {...(keys(id) ? { keys: keys(id) } : {})} disabled={disabled} onClick={run} />
  );
  if (!notebook.canEdit.value) {
    return (
      <div class="nb-toolbar" role="toolbar" aria-label="Notebook">
        <span class="nb-read-only">
          <Icon name="eye" size={14} /> {notebook.role.value === "viewer" ? "You can look at this notebook, not change it" : "Not connected"}
        </span>
        <span class="nb-spacer" />
        <KernelButton notebook={notebook} />
      </div>
    );
  }
  return (
    // The focus stays on the cell: a press here is about it.
    <div class="nb-toolbar" role="toolbar" aria-label="Notebook" onMouseDown={(event) => !(event.target as Element).closest("select") && event.preventDefault()}>
      {tool("play", "Run and go on", "notebook.run-cell-select-next", () => runSelected(notebook, "next"))}
      <button type="button" class="nb-tool-wide" aria-label="Run all" title="Run all cells" onClick={() => runAll(notebook)}>
        <Icon name="run-all" size={14} />
        <span>Run all</span>
      </button>
      {tool("stop", "Interrupt", "notebook.interrupt", () => interrupt(notebook), !isBusy)}
      {tool("restart", "Restart the kernel", "notebook.restart", () => void restart(notebook))}
      <span class="nb-divider" />
      <button type="button" class="nb-tool-wide" aria-label="Add a code cell" title={`Add a code cell below (${keysLabel("B")})`} onClick={() => addCell(notebook, "below", "code", "edit")}>
        <Icon name="plus" size={14} />
        <Narrow icon="code" />
        <span>Code</span>
      </button>
      <button type="button" class="nb-tool-wide" aria-label="Add a text cell" title="Add a text cell below" onClick={() => addCell(notebook, "below", "markdown", "edit")}>
        <Icon name="plus" size={14} />
        <Narrow icon="markdown" />
        <span>Text</span>
      </button>
      <TypePicker notebook={notebook} />
      <IconButton icon="more" label="More" aria-haspopup="menu" onClick={(event) => openMenu(event.currentTarget, moreMenu(notebook), "Notebook")} />
      <span class="nb-spacer" />
      <KernelButton notebook={notebook} />
    </div>
  );
}

/** In place of the word where there is no room for it. */
function Narrow({ icon }: { icon: IconName }) {
  return (
    <i class="nb-narrow">
      <Icon name={icon} size={14} />
    </i>
  );
}

function TypePicker({ notebook }: { notebook: OpenNotebook }) {
  const type = useComputed(() => notebook.model.cell(notebook.selection.active.value ?? "")?.type.value ?? "code").value;
  return (
    <select
      class="nb-type-picker"
      aria-label="Type of the cell"
      value={type}
      onChange={(event) => {
        changeType(notebook, event.currentTarget.value as CellType);
        event.currentTarget.blur();
      }}
    >
      <option value="code">Code</option>
      <option value="markdown">Text</option>
      <option value="raw">Raw</option>
    </select>
  );
}

function moreMenu(notebook: OpenNotebook): MenuItem[] {
  return [
    { label: "Run all above", icon: "arrow-up", run: () => runAbove(notebook) },
    { label: "Run this and all below", icon: "arrow-down", run: () => runBelow(notebook) },
    { label: "Restart and run all", icon: "restart", run: () => restart(notebook, "run all") },
    "separator",
    { label: "Clear outputs of the cell", run: () => clearOutputs(notebook, notebook.selection.selected.peek()) },
    { label: "Clear all outputs", run: () => clearOutputs(notebook, notebook.model.order.peek()) },
    "separator",
    { label: "Stay with the running cell", checked: notebook.isFollowing.peek(), run: () => void (notebook.isFollowing.value = !notebook.isFollowing.peek()) },
    { label: "Line numbers", keys: "L", checked: notebook.lineNumbers.peek(), run: () => void (notebook.lineNumbers.value = !notebook.lineNumbers.peek()) },
  ];
}

export const KERNEL_WORDS: Record<string, string> = {
  none: "not started",
  pending: "waiting",
  starting: "starting",
  idle: "idle",
  busy: "busy",
  restarting: "restarting",
  stopping: "stopping",
  stopped: "stopped",
  culled: "stopped by the hub",
  killed: "killed",
  died: "died",
  failed: "did not start",
  lost: "lost",
};

function KernelButton({ notebook }: { notebook: OpenNotebook }) {
  const state = useComputed(() => notebook.log.kernel.value?.state ?? "none").value;
  const reason = useComputed(() => notebook.log.kernel.value?.reason ?? "").value;
  // Until the hub has told, nothing is known: "not started" would be a guess.
  const isKnown = useComputed(() => notebook.log.kernel.value !== null || notebook.runs.isLive.value).value;
  const turn = useComputed(() => notebook.log.notice.value?.queue_position ?? null).value;
  const word = !isKnown ? "" : state === "pending" && turn !== null ? `${ordinal(turn)} in the queue` : (KERNEL_WORDS[state] ?? state);
  const open = (event: MouseEvent): void => {
    const button = event.currentTarget as Element;
    openMenu(button, kernelMenu(notebook), "Kernel");
    if (notebook.kernelspecs.peek().length === 0) void notebook.loadKernelspecs();
  };
  return (
    <button
      type="button"
      class="nb-kernel"
      aria-haspopup="menu"
      title={reason || `Kernel: ${word || "connecting"}`}
      disabled={!notebook.canEdit.value}
      onClick={open}
    >
      <span class={`nb-dot is-${state}`} aria-hidden="true" />
      <span class="nb-kernel-name">{notebook.kernelTitle.value}</span>
      <span class="nb-kernel-state">{word}</span>
      <Icon name="chevron-down" size={12} />
    </button>
  );
}

function kernelMenu(notebook: OpenNotebook): MenuItem[] {
  const kernel = notebook.log.kernel.peek();
  const isAlive = kernel !== null && ["idle", "busy", "starting", "pending", "restarting"].includes(kernel.state);
  const specs = notebook.kernelspecs.peek().map((spec) => ({
    label: spec.display_name,
    checked: spec.name === notebook.kernelspecName.peek(),
    run: () => chooseKernel(notebook, spec.name),
  }));
  return [
    ...(specs.length ? specs : [{ label: "No kernels are installed, or the hub cannot be reached", disabled: true, run: () => undefined }]),
    "separator",
    isAlive
      ? { label: "Interrupt", icon: "stop", keys: "I I", disabled: kernel.state !== "busy" && kernel.state !== "pending", run: () => interrupt(notebook) }
      : { label: "Start", icon: "play", run: () => notebook.runs.start(notebook.kernelspecName.peek() ?? undefined) },
    { label: "Restart", icon: "restart", keys: "0 0", disabled: !isAlive, run: () => restart(notebook) },
    { label: "Restart and run all", icon: "run-all", run: () => restart(notebook, "run all") },
    { label: "Shut down", icon: "close", danger: true, disabled: !isAlive, run: () => shutDown(notebook) },
  ];
}
