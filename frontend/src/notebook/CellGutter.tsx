/** Left of a cell: handle, run button, execution prompt, and how the last run went. Its size never changes. */

import { useComputed } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";

import type { CellState } from "../store/outputLog";
import { Icon } from "../ui/Icon";
import type { CellProps } from "./Cell";
import type { CellDrag } from "./cellDrag";
import { durationText } from "./durations";
import { useEditedSinceRun } from "./edited";
import { interrupt, runCells } from "./runActions";

export function CellGutter({ notebook, cell, drag }: CellProps & { drag: CellDrag }) {
  const isCode = cell.type.value === "code";
  return (
    <div class="nb-gutter">
      {notebook.canEdit.value && (
        <span class="nb-handle" title="Drag to move" aria-hidden="true" onPointerDown={(event) => drag.start(event, cell.id)}>
          <Icon name="drag" size={14} />
        </span>
      )}
      {isCode && <RunState notebook={notebook} cell={cell} />}
    </div>
  );
}

function RunState({ notebook, cell }: CellProps) {
  const state = notebook.log.cell(cell.id);
  const isSending = useComputed(() => notebook.runs.sending.value.has(cell.id)).value;
  const status = useComputed(() => state.value.state).value;
  const count = useComputed(() => state.value.execution_count).value;
  const isRunning = status === "running";
  const isWaiting = isSending || status === "queued";
  const canRun = notebook.canEdit.value;
  const prompt = isRunning || isWaiting ? "[*]" : `[${count === null ? " " : String(count)}]`;
  const label = isRunning ? "Interrupt" : isWaiting ? "Waiting to run" : "Run cell";
  return (
    <div class="nb-run-state">
      <button
        type="button"
        class={`nb-run ${isRunning ? "is-running" : isWaiting ? "is-waiting" : ""}`}
        aria-label={label}
        title={isRunning ? "Interrupt" : isWaiting ? "Waiting for its turn" : "Run this cell (Shift+Enter)"}
        disabled={!canRun || (isWaiting && !isRunning)}
        tabIndex={-1}
        onMouseDown={(event) => event.preventDefault()}
        onClick={() => (isRunning ? interrupt(notebook) : void runCells(notebook, [cell.id]))}
      >
        <span class="nb-prompt">{prompt}</span>
        <span class="nb-run-icon">
          <Icon name={isRunning ? "stop" : "play"} size={isRunning ? 12 : 14} />
        </span>
      </button>
      <RunResult notebook={notebook} cell={cell} isSending={isSending} />
    </div>
  );
}

function RunResult({ notebook, cell, isSending }: CellProps & { isSending: boolean }) {
  const state = notebook.log.cell(cell.id);
  const times = useComputed(() => {
    const { state: status, started_at, finished_at } = state.value;
    return `${status} ${String(started_at ?? "")} ${String(finished_at ?? "")}`;
  });
  const ran = useComputed(() => state.value.source_sha256 ?? "");
  const isEdited = useEditedSinceRun(cell.source, ran).value;
  void times.value; // redraw for these only, not for each printed line
  const now = state.peek();
  if (isSending) return <small class="nb-result">Sending…</small>;
  if (now.state === "queued") return <small class="nb-result">Queued</small>;
  if (now.state === "running") return <Elapsed sinceMs={now.started_at ?? null} />;
  if (now.state === "idle") return null;
  const { text, kind, title } = describe(now);
  return (
    <small class={`nb-result ${isEdited ? "is-edited" : kind}`} title={isEdited ? `Edited since it ran. ${title}` : title}>
      {isEdited ? "Edited" : text}
    </small>
  );
}

function describe(state: CellState): { text: string; kind: string; title: string } {
  const took = state.started_at && state.finished_at ? durationText(state.finished_at - state.started_at) : "";
  const at = state.finished_at ? ` Finished at ${new Date(state.finished_at).toLocaleString()}.` : "";
  switch (state.state) {
    case "ok":
      return { text: took, kind: "is-ok", title: `Done${took ? ` in ${took}` : ""}.${at}` };
    case "error":
      return { text: took || "Failed", kind: "is-error", title: `Failed${took ? ` after ${took}` : ""}.${at}` };
    case "aborted":
      return { text: "Not run", kind: "is-muted", title: "Not run, because a cell before it failed." };
    case "cancelled":
      return { text: "Cancelled", kind: "is-muted", title: "Cancelled before it ran." };
    case "not_run":
      return { text: "Not run", kind: "is-muted", title: "Not run: the kernel ended before its turn. Run it again." };
    case "interrupted":
      return { text: "Stopped", kind: "is-error", title: `Interrupted${took ? ` after ${took}` : ""}.${at}` };
    case "died":
      return { text: "Died", kind: "is-error", title: `The kernel ended while this cell ran.${at}` };
    default:
      return { text: "", kind: "", title: "" };
  }
}

function Elapsed({ sinceMs }: { sinceMs: number | null }) {
  const [nowMs, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return <small class="nb-result is-running">{sinceMs === null ? "Running" : elapsedText(nowMs - sinceMs)}</small>;
}

/** Whole seconds past the first ten: less to look at. */
function elapsedText(ms: number): string {
  return ms < 1_000 ? `${(Math.max(0, ms) / 1_000).toFixed(1)} s` : durationText(ms);
}
