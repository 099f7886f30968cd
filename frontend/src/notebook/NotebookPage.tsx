/** The notebook itself: toolbar, cells, banners. */

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import type { Project } from "../api/types";
import { registerCommands } from "../store/commands";
import type { CellStateName } from "../store/outputLog";
import { Icon } from "../ui/Icon";
import { Loading } from "../ui/Progress";
import { Banners } from "./Banners";
import { Cell } from "./Cell";
import { addCell, copySelected, cutToClipboard, pasteCells } from "./cellActions";
import { type KeyboardPlace, notebookCommands } from "./commandList";
import { CellDrag } from "./cellDrag";
import type { OpenNotebook } from "./openNotebook";
import { cellElement, reveal, revealHeading } from "./reveal";
import { Toolbar } from "./Toolbar";
import "./notebook.css";

interface NotebookPageProps {
  notebook: OpenNotebook;
  project: Project;
  isActive: boolean;
}

export function NotebookPage({ notebook, project, isActive }: NotebookPageProps) {
  const root = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const active = useSignal(isActive);
  active.value = isActive;
  const place = useMemo(() => placeOf(() => root.current, () => scroller.current, () => active.peek()), []);
  const commands = useMemo(() => notebookCommands(notebook, place), [notebook]);
  const drag = useMemo(() => new CellDrag(notebook, () => scroller.current), [notebook]);

  useEffect(() => (isActive ? registerCommands(commands) : undefined), [isActive, commands]);
  useEffect(() => {
    if (!scroller.current) return;
    notebook.live.attach(scroller.current);
    return () => notebook.live.detach();
  }, [notebook]);
  useLayoutEffect(() => {
    notebook.reveal = (cellId) => requestAnimationFrame(() => reveal(scroller.current, cellId));
    notebook.revealHeading = (cellId, nth) => requestAnimationFrame(() => revealHeading(scroller.current, cellId, nth));
  }, [notebook]);

  useFocusFollowsSelection(notebook, root, scroller, isActive);
  useFollowRunning(notebook, scroller);
  useAnnouncements(notebook);
  useClipboard(notebook, place);
  useLeaveWarning(notebook);

  return (
    <div class="nb" ref={root}>
      <Toolbar notebook={notebook} commands={commands} />
      <div
        class="nb-scroller"
        ref={scroller}
        tabIndex={-1}
        onWheel={() => (notebook.isFollowing.value = false)}
        onTouchMove={() => (notebook.isFollowing.value = false)}
      >
        <CellList notebook={notebook} drag={drag} />
      </div>
      <Banners notebook={notebook} project={project} />
      <LiveRegion notebook={notebook} />
    </div>
  );
}

function CellList({ notebook, drag }: { notebook: OpenNotebook; drag: CellDrag }) {
  if (!notebook.isReady.value) return <Loading label="Opening the notebook…" />;
  const order = notebook.model.order.value;
  if (order.length === 0) return <EmptyNotebook notebook={notebook} />;
  return (
    <div class="nb-column">
      <div class="nb-cells" role="feed" aria-label="Cells">
        {order.map((id) => {
          const cell = notebook.model.cell(id);
          return cell && <Cell key={id} notebook={notebook} cell={cell} drag={drag} />;
        })}
      </div>
      {notebook.canEdit.value && (
        <button type="button" class="nb-add-end" onClick={() => addCell(notebook, order.length, "code", "edit")}>
          <Icon name="plus" size={14} /> Add a cell
        </button>
      )}
    </div>
  );
}

function EmptyNotebook({ notebook }: { notebook: OpenNotebook }) {
  if (!notebook.canEdit.value) return <p class="nb-empty">This notebook has no cells.</p>;
  return (
    <div class="nb-empty">
      <p>This notebook has no cells yet.</p>
      <div class="nb-empty-actions">
        <button type="button" class="button button-primary" onClick={() => addCell(notebook, 0, "code", "edit")}>
          Write code
        </button>
        <button type="button" class="button button-plain" onClick={() => addCell(notebook, 0, "markdown", "edit")}>
          Write text
        </button>
      </div>
    </div>
  );
}

function LiveRegion({ notebook }: { notebook: OpenNotebook }) {
  return (
    <div class="nb-visually-hidden" role="status" aria-live="polite">
      {notebook.announcement}
    </div>
  );
}

const INTERACTIVE = "button, a[href], input, select, textarea, summary, iframe, [contenteditable=true], [role=menu], [role=tree]";

function placeOf(root: () => HTMLElement | null, scroller: () => HTMLElement | null, isActive: () => boolean): KeyboardPlace {
  return {
    isActive,
    isOnCells() {
      const at = document.activeElement;
      if (!at || at === document.body) return true;
      // A dialog has the keys to itself; this is the palette asking what could be run.
      if (at.closest("[role=dialog]")) return true;
      return root()?.contains(at) === true && at.closest(INTERACTIVE) === null;
    },
    isInCells: () => scroller()?.contains(document.activeElement) === true,
    scrollPage(direction) {
      const element = scroller();
      element?.scrollBy({ top: direction * element.clientHeight * 0.85 });
    },
  };
}

/** In command mode the active cell has the focus, when the focus is in the notebook at all. */
function useFocusFollowsSelection(
  notebook: OpenNotebook,
  root: { current: HTMLElement | null },
  scroller: { current: HTMLElement | null },
  isActive: boolean,
): void {
  const focusActive = (): void => {
    const id = notebook.selection.active.peek();
    const at = document.activeElement;
    const isOurs = !at || at === document.body || root.current?.contains(at) === true;
    if (id === null || notebook.selection.mode.peek() !== "command" || !isOurs) return;
    if (at?.closest(".nb-toolbar, .nb-input")) return;
    const element = cellElement(scroller.current, id);
    if (element && (at === element || !element.contains(at) || at?.closest(".cm-editor"))) element.focus({ preventScroll: true });
  };
  useSignalEffect(() => {
    void notebook.selection.active.value;
    void notebook.selection.mode.value;
    void notebook.isReady.value;
    void notebook.model.order.value;
    if (isActive) requestAnimationFrame(focusActive);
  });
  useEffect(() => {
    if (isActive) requestAnimationFrame(focusActive);
  }, [isActive]);
}

/** While it follows, the view stays with the running cell. */
function useFollowRunning(notebook: OpenNotebook, scroller: { current: HTMLElement | null }): void {
  const running = useComputed(() => {
    if (!notebook.isFollowing.value) return null;
    return notebook.model.order.value.find((id) => notebook.log.cell(id).value.state === "running") ?? null;
  });
  useSignalEffect(() => {
    const id = running.value;
    if (id !== null) requestAnimationFrame(() => reveal(scroller.current, id));
  });
}

const RESULTS: Partial<Record<CellStateName, string>> = {
  ok: "finished",
  error: "failed",
  interrupted: "was interrupted",
  died: "ended with its kernel",
  aborted: "was not run",
};

/** Tells screen readers how runs end. */
function useAnnouncements(notebook: OpenNotebook): void {
  const known = useMemo(() => new Map<string, CellStateName>(), [notebook]);
  useSignalEffect(() => {
    notebook.model.order.value.forEach((id, at) => {
      const { state, outputs } = notebook.log.cell(id).value;
      const before = known.get(id);
      known.set(id, state);
      const result = RESULTS[state];
      if (result === undefined || (before !== "running" && before !== "queued") || before === (state as string)) return;
      const error = outputs.find((output) => output.output_type === "error");
      notebook.announcement.value = `Cell ${String(at + 1)} ${result}${error ? `: ${error.ename}` : ""}.`;
    });
  });
}

/** Ctrl-C, Ctrl-X and Ctrl-V on cells: nbformat through the system's clipboard, with no permission to ask for. */
function useClipboard(notebook: OpenNotebook, place: KeyboardPlace): void {
  useEffect(() => {
    const applies = (): boolean =>
      place.isActive() && notebook.selection.mode.peek() === "command" && place.isOnCells() && document.querySelector("[role=dialog]") === null;
    const onCopy = (event: ClipboardEvent): void => {
      if (!applies() || !document.getSelection()?.isCollapsed || notebook.selection.selected.peek().length === 0) return;
      event.clipboardData?.setData("text/plain", copySelected(notebook));
      event.preventDefault();
      if (event.type === "cut" && notebook.canEdit.peek()) void cutToClipboard(notebook);
    };
    const onPaste = (event: ClipboardEvent): void => {
      if (!applies() || !notebook.canEdit.peek()) return;
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (pasteCells(notebook, "below", text)) event.preventDefault();
    };
    document.addEventListener("copy", onCopy);
    document.addEventListener("cut", onCopy);
    document.addEventListener("paste", onPaste);
    return () => {
      document.removeEventListener("copy", onCopy);
      document.removeEventListener("cut", onCopy);
      document.removeEventListener("paste", onPaste);
    };
  }, [notebook]);
}

function useLeaveWarning(notebook: OpenNotebook): void {
  useEffect(() => {
    const onLeave = (event: BeforeUnloadEvent): void => {
      if (notebook.provider.hasUnsentEdits.peek()) event.preventDefault();
    };
    addEventListener("beforeunload", onLeave);
    return () => removeEventListener("beforeunload", onLeave);
  }, [notebook]);
}
