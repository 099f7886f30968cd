/** One cell: gutter with its state, source, outputs. Its parts listen to what they show, and nothing else. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { CellModel } from "../crdt/notebookModel";
import { isHidden } from "./cellActions";
import type { CellDrag } from "./cellDrag";
import { CellGutter } from "./CellGutter";
import { CellSource } from "./CellSource";
import { CellTools } from "./CellTools";
import { InputPrompt } from "./InputPrompt";
import { MarkdownCell } from "./MarkdownCell";
import type { OpenNotebook } from "./openNotebook";
import { Outputs } from "./outputs";
import "./cell.css";

export interface CellProps {
  notebook: OpenNotebook;
  cell: CellModel;
}

const LINE_PX = 20;
const FRAME_PX = 30; // paddings and borders around the lines
const OUTPUT_PX = 90; // a guess for what was not drawn yet; the browser remembers the real height from then on

export function Cell({ notebook, cell, drag }: CellProps & { drag: CellDrag }) {
  const element = useRef<HTMLElement>(null);
  const isHovered = useSignal(false);
  const { selection } = notebook;
  const isActive = useComputed(() => selection.active.value === cell.id);
  const isEditing = useComputed(() => isActive.value && selection.mode.value === "edit");
  const isSelected = useComputed(() => selection.has(cell.id));
  const hasTools = useComputed(() => isHovered.value || isActive.value);
  const classes = useComputed(() => {
    const state = notebook.log.cell(cell.id).value.state;
    return [
      "nb-cell",
      `nb-${cell.type.value}`,
      isActive.value && "is-active",
      isEditing.value && "is-editing",
      isSelected.value && "is-selected",
      cell.type.value === "code" && (state === "running" || state === "error" || state === "died") && `is-${state}`,
      drag.moving.value.has(cell.id) && "is-moving",
      drag.target.value === cell.id && "is-drop-before",
      drag.target.value === "end" && notebook.model.order.value.at(-1) === cell.id && "is-drop-after",
    ]
      .filter(Boolean)
      .join(" ");
  });
  const label = useComputed(() => {
    const order = notebook.model.order.value;
    const kind = cell.type.value === "code" ? "Code" : cell.type.value === "markdown" ? "Text" : "Raw";
    const state = cell.type.value === "code" ? STATE_WORDS[notebook.log.cell(cell.id).value.state] : undefined;
    return `${kind} cell ${String(order.indexOf(cell.id) + 1)} of ${String(order.length)}${state ? `, ${state}` : ""}`;
  });
  const tabIndex = useComputed(() => (isActive.value ? 0 : -1));
  const heightGuess = useRef(0);
  heightGuess.current ||= guessHeight(notebook, cell);

  useEffect(() => (element.current ? notebook.live.watch(element.current, cell.id) : undefined), [notebook, cell.id]);
  useEffect(() => () => notebook.live.forget(cell.id), [notebook, cell.id]);

  const onPointerDown = (event: PointerEvent): void => {
    const target = event.target as Element;
    if (event.button !== 0 || target.closest("button, .nb-handle, a, input, select, .cm-editor, .ed-static")) return;
    if (event.shiftKey && selection.active.peek() !== null) {
      event.preventDefault();
      selection.extendTo(cell.id);
    } else if (selection.active.peek() !== cell.id || selection.mode.peek() === "edit") selection.select(cell.id);
  };

  return (
    <article
      ref={element}
      class={classes}
      data-cell-id={cell.id}
      data-cell-type={cell.type}
      aria-label={label}
      tabIndex={tabIndex as unknown as number}
      style={{ "--nb-height": `${String(heightGuess.current)}px` }}
      onPointerDown={onPointerDown}
      onPointerEnter={() => (isHovered.value = true)}
      onPointerLeave={() => (isHovered.value = false)}
    >
      {notebook.live.isDrawn(cell.id).value ? (
        <>
          <CellGutter notebook={notebook} cell={cell} drag={drag} />
          <div class="nb-main">
            <Content notebook={notebook} cell={cell} />
          </div>
          <Tools notebook={notebook} cell={cell} isShown={hasTools} />
        </>
      ) : (
        <Outline cell={cell} />
      )}
    </article>
  );
}

/** What a cell is until it comes near the view: its text, so that the browser's search finds it. */
function Outline({ cell }: { cell: CellModel }) {
  return (
    <div class="nb-main nb-outline ed">
      <div class="ed-static">
        <div class="ed-line">{cell.source.peek()}</div>
      </div>
    </div>
  );
}

function Tools({ notebook, cell, isShown }: CellProps & { isShown: { value: boolean } }) {
  return isShown.value && notebook.canEdit.value ? <CellTools notebook={notebook} cell={cell} /> : null;
}

function Content({ notebook, cell }: CellProps) {
  switch (cell.type.value) {
    case "markdown":
      return <MarkdownCell notebook={notebook} cell={cell} />;
    case "raw":
      return <CellSource notebook={notebook} cell={cell} />;
    case "code":
      return (
        <>
          <CodeSource notebook={notebook} cell={cell} />
          <CodeOutputs notebook={notebook} cell={cell} />
        </>
      );
  }
}

function CodeSource({ notebook, cell }: CellProps) {
  if (!isHidden(cell.metadata.value, "source_hidden")) return <CellSource notebook={notebook} cell={cell} />;
  const firstLine = cell.source.value.split("\n", 1)[0] ?? "";
  return (
    <div class="nb-hidden-source" title="The code is hidden">
      {firstLine || "Hidden code"} …
    </div>
  );
}

function CodeOutputs({ notebook, cell }: CellProps) {
  const hasOutputs = useComputed(() => notebook.log.cell(cell.id).value.outputs.length > 0);
  const input = useComputed(() => notebook.log.cell(cell.id).value.input);
  const isOutputHidden = useComputed(() => isHidden(cell.metadata.value, "outputs_hidden"));
  return (
    <>
      {hasOutputs.value && !isOutputHidden.value && (
        <div class="nb-outputs">
          <Outputs cellId={cell.id} documentId={notebook.info.id} log={notebook.log} actions={{ replyInput: (inputId, value) => notebook.runs.replyInput(inputId, value) }} />
        </div>
      )}
      {hasOutputs.value && isOutputHidden.value && <div class="nb-hidden-source">Outputs are hidden</div>}
      {input.value && <InputPrompt key={input.value.input_id} request={input.value} onReply={(value) => notebook.runs.replyInput(input.value?.input_id ?? "", value)} canReply={notebook.canEdit.value} />}
    </>
  );
}

const STATE_WORDS: Record<string, string> = {
  queued: "waiting to run",
  running: "running",
  error: "failed",
  aborted: "not run",
  cancelled: "cancelled",
  interrupted: "interrupted",
  died: "kernel died",
  not_run: "not run, the kernel ended",
};

function guessHeight(notebook: OpenNotebook, cell: CellModel): number {
  let lineCount = 1;
  const source = cell.source.peek();
  for (let at = source.indexOf("\n"); at >= 0; at = source.indexOf("\n", at + 1)) lineCount += 1;
  const outputs = cell.type.peek() === "code" ? notebook.log.cell(cell.id).peek().outputs.length : 0;
  return FRAME_PX + lineCount * LINE_PX + Math.min(outputs, 4) * OUTPUT_PX;
}
