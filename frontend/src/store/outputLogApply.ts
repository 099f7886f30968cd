/**
 * What each operation does to the states of cells, as docs/reference/runs.md says. The server's twin is
 * `kernels_app/runs/apply.py`; both are tested against `tests/vectors/operations.json`.
 */

import type { CellOperation, CellState, DisplayOutput, Operation, Output, StreamOutput } from "./outputLogTypes";

export const IDLE_CELL: CellState = Object.freeze({
  state: "idle",
  run_id: null,
  execution_count: null,
  outputs: Object.freeze([]) as readonly Output[],
  queued_at: null,
  started_at: null,
  finished_at: null,
  source_sha256: "",
  input: null,
});

/** Where states are read and written; a cell that is not there yet is `undefined`. */
export interface CellStates {
  get(cellId: string): CellState | undefined;
  set(cellId: string, state: CellState): unknown;
}

export function applyOperation(cells: CellStates, operation: Operation): void {
  if (operation.op === "kernel") return;
  if (operation.op === "update_display") {
    for (const { cell_id, index } of operation.targets) {
      const cell = cells.get(cell_id);
      const output = cell?.outputs[index];
      if (!cell || !output || !isDisplay(output) || output.display_id !== operation.display_id) continue;
      const updated: { -readonly [K in keyof DisplayOutput]: DisplayOutput[K] } = { ...output, data: operation.data, metadata: operation.metadata };
      delete updated.blobs;
      if (isFilled(operation.blobs)) updated.blobs = operation.blobs;
      cells.set(cell_id, { ...cell, outputs: put(cell.outputs, index, updated) });
    }
    return;
  }
  const before = cells.get(operation.cell_id);
  const after = applyToCell(before ?? IDLE_CELL, operation);
  if (after !== before) cells.set(operation.cell_id, after);
}

function applyToCell(cell: CellState, operation: CellOperation): CellState {
  switch (operation.op) {
    case "queued":
      return { ...cell, state: "queued", run_id: operation.run_id, queued_at: operation.at, source_sha256: operation.source_sha256 ?? "" };
    case "started":
      return {
        ...cell,
        state: "running",
        run_id: operation.run_id,
        started_at: operation.at,
        finished_at: null,
        execution_count: null,
        outputs: [],
        input: null,
      };
    case "counted":
      return { ...cell, execution_count: operation.execution_count };
    case "stream":
      return changeStream(cell, operation);
    case "stream_chunk":
      return addChunk(cell, operation);
    case "display":
      return { ...cell, outputs: put(cell.outputs, operation.index, displayOutput(operation)) };
    case "error": {
      const { ename, evalue, traceback } = operation;
      return { ...cell, outputs: put(cell.outputs, operation.index, { output_type: "error", ename, evalue, traceback }) };
    }
    case "notice": {
      const { code, text } = operation;
      return { ...cell, outputs: put(cell.outputs, operation.index, { output_type: "notice", code, text }) };
    }
    case "clear":
      return { ...cell, outputs: [] };
    case "input_request": {
      const { input_id, prompt, password } = operation;
      return { ...cell, input: { input_id, prompt, password } };
    }
    case "input_closed":
      return cell.input?.input_id === operation.input_id ? { ...cell, input: null } : cell;
    case "finished":
      return finish(cell, operation);
    default:
      // An operation of a newer hub: what this page knows stays right.
      return cell;
  }
}

/** Written twice it does nothing, and a cell that was queued again is not ended by its run before. */
function finish(cell: CellState, operation: Extract<CellOperation, { op: "finished" }>): CellState {
  if (cell.run_id !== operation.run_id || (cell.state !== "queued" && cell.state !== "running")) return cell;
  return {
    ...cell,
    state: operation.status,
    started_at: operation.started_at ?? cell.started_at,
    finished_at: operation.finished_at ?? cell.finished_at,
    execution_count: operation.execution_count ?? cell.execution_count,
    input: null,
  };
}

/** `output` at `index`, or one more at the end. */
function put(outputs: readonly Output[], index: number, output: Output): readonly Output[] {
  if (index >= outputs.length) return [...outputs, output];
  const changed = outputs.slice();
  changed[index] = output;
  return changed;
}

function isDisplay(output: Output): output is DisplayOutput {
  return output.output_type === "display_data" || output.output_type === "execute_result";
}

function isFilled<T>(record: Record<string, T> | undefined | null): record is Record<string, T> {
  return record !== undefined && record !== null && Object.keys(record).length > 0;
}

function displayOutput(operation: Extract<CellOperation, { op: "display" }>): DisplayOutput {
  return {
    output_type: operation.output_type,
    data: operation.data,
    metadata: operation.metadata,
    ...(isFilled(operation.blobs) && { blobs: operation.blobs }),
    ...(operation.display_id !== undefined && operation.display_id !== null && { display_id: operation.display_id }),
    ...(operation.execution_count !== undefined && operation.execution_count !== null && { execution_count: operation.execution_count }),
  };
}

function changeStream(cell: CellState, operation: Extract<CellOperation, { op: "stream" }>): CellState {
  const isNew = operation.index >= cell.outputs.length;
  const index = isNew ? cell.outputs.length : operation.index;
  const before: Output | undefined = isNew ? { output_type: "stream", name: operation.name, text: "" } : cell.outputs[index];
  if (before?.output_type !== "stream") return cell;
  const { part = "head", cut = 0, drop = 0, omitted = 0, text } = operation;
  let after: StreamOutput =
    part === "tail"
      ? { ...before, tail: changeText(before.tail ?? "", cut, drop) + text }
      : { ...before, text: changeText(before.text, cut, drop) + text };
  if (part === "tail" || omitted > 0 || before.tail !== undefined) after = { ...after, omitted };
  return { ...cell, outputs: put(cell.outputs, index, after) };
}

/** Without `cut` units at its start and `drop` at its end. */
function changeText(text: string, cut: number, drop: number): string {
  return cut === 0 && drop === 0 ? text : text.slice(cut, Math.max(cut, text.length - drop));
}

function addChunk(cell: CellState, operation: Extract<CellOperation, { op: "stream_chunk" }>): CellState {
  const output = cell.outputs[operation.index];
  if (output?.output_type !== "stream") return cell;
  const after: StreamOutput = {
    ...output,
    ...(operation.blob && { chunks: [...(output.chunks ?? []), operation.blob] }),
    ...(operation.limit_reached === true && { limit_reached: true }),
  };
  return { ...cell, outputs: put(cell.outputs, operation.index, after) };
}
