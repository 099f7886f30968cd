/**
 * The browser's copy of a document's output log. Feed it what the runs socket says; each cell's state is a signal
 * of its own, published at most once a frame, so that ten thousand lines a second cost one drawing a frame.
 */

import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";

import { applyOperation, IDLE_CELL } from "./outputLogApply";
import type { CellState, KernelInfo, KernelNotice, KernelUse, LogMessage, Operation, Output } from "./outputLogTypes";

export type * from "./outputLogTypes";

export interface OutputLog {
  /** The last operation that was applied: what `resume` asks with. 0 when nothing is known. */
  readonly seq: number;
  /** The document's kernel; null when it has none. */
  readonly kernel: ReadonlySignal<KernelInfo | null>;
  /** What is announced for that kernel; null when nothing is. It is not in the log: each connection tells it anew. */
  readonly notice: ReadonlySignal<KernelNotice | null>;
  /** What that kernel uses; null while it does not live or was not measured. Told beside the log too. */
  readonly use: ReadonlySignal<KernelUse | null>;
  /** State of a cell, also of one that never ran. The same signal each time. */
  cell(cellId: string): ReadonlySignal<CellState>;
  receive(message: LogMessage): void;
  /** Called when operations are missing; nothing is applied until the socket has resumed. Returns what ends it. */
  onGap(listener: () => void): () => void;
  /** Publish now what waits for the next frame. */
  flush(): void;
}

/** Calls back at the next frame, or soon when the page is hidden and has no frames. */
export type Schedule = (callback: () => void) => void;

const HIDDEN_MS = 250;
const GENERATION = 2 ** 32; // seq = generation * 2 ** 32 + number, the number counting from 1

const atNextFrame: Schedule = (callback) => {
  let isDone = false;
  const once = (): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    callback();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, HIDDEN_MS);
};

/** Whether a kernel's state says that the notice does not hold: it is used, has its place, or has ended. */
function isOver(notice: KernelNotice | null, kernelId: string, state: string): boolean {
  if (notice === null) return false;
  if (notice.kernel_id !== kernelId) return true;
  if (notice.queue_position !== null) return state !== "pending";
  return state === "busy" ? notice.end_cause === "idle" : state !== "idle";
}

const LIVE_STATES: ReadonlySet<string> = new Set(["pending", "starting", "idle", "busy", "restarting", "stopping"]);

export function createOutputLog(schedule: Schedule = atNextFrame): OutputLog {
  const states = new Map<string, CellState>();
  const signals = new Map<string, Signal<CellState>>();
  const changed = new Set<string>();
  const kernel = signal<KernelInfo | null>(null);
  const notice = signal<KernelNotice | null>(null);
  const use = signal<KernelUse | null>(null);
  const gapListeners = new Set<() => void>();
  let seq = 0;
  let isScheduled = false;
  /** The socket resumed: the next operation may have any number above `seq`. */
  let takesAny = false;
  let hasGap = false;

  const cells = {
    get: (cellId: string): CellState | undefined => states.get(cellId),
    set(cellId: string, state: CellState): void {
      states.set(cellId, state);
      changed.add(cellId);
    },
  };

  function flush(): void {
    isScheduled = false;
    batch(() => {
      for (const cellId of changed) {
        const known = signals.get(cellId);
        if (known) known.value = states.get(cellId) ?? IDLE_CELL;
      }
      changed.clear();
    });
  }

  function publishSoon(): void {
    if (isScheduled || changed.size === 0) return;
    isScheduled = true;
    schedule(flush);
  }

  function receiveSnapshot(message: Extract<LogMessage, { type: "snapshot" }>): void {
    for (const cellId of states.keys()) if (!Object.hasOwn(message.cells, cellId)) changed.add(cellId);
    states.clear();
    for (const [cellId, state] of Object.entries(message.cells)) cells.set(cellId, { ...IDLE_CELL, ...state });
    seq = message.seq;
    setKernel(message.kernel);
    resumed();
    if (!message.parts) flush();
  }

  function setKernel(info: KernelInfo | null): void {
    kernel.value = info;
    if (info === null || info.kernel_id !== use.peek()?.kernel_id || !LIVE_STATES.has(info.state)) use.value = null;
  }

  function receivePart(outputs: Record<string, Output[]>): void {
    for (const [cellId, more] of Object.entries(outputs)) {
      const state = states.get(cellId) ?? IDLE_CELL;
      cells.set(cellId, { ...state, outputs: [...state.outputs, ...more] });
    }
  }

  function resumed(): void {
    notice.value = null; // what still holds is told next
    takesAny = true;
    hasGap = false;
  }

  function follows(next: number): boolean {
    if (takesAny || seq === 0) return true;
    if (next === seq + 1) return true;
    return Math.floor(next / GENERATION) > Math.floor(seq / GENERATION) && next % GENERATION === 1;
  }

  function receiveOperations(operations: readonly Operation[]): void {
    if (hasGap) return;
    for (const operation of operations) {
      if (operation.seq <= seq) continue;
      if (!follows(operation.seq)) {
        hasGap = true;
        for (const listener of gapListeners) listener();
        return;
      }
      takesAny = false;
      seq = operation.seq;
      if (operation.op === "kernel") {
        const { kernel_id, kernelspec_name, state, reason = "" } = operation;
        setKernel({ kernel_id, kernelspec_name, state, reason });
        if (isOver(notice.value, kernel_id, state)) notice.value = null;
      } else applyOperation(cells, operation);
    }
  }

  return {
    get seq() {
      return seq;
    },
    kernel,
    notice,
    use,
    cell(cellId) {
      let known = signals.get(cellId);
      if (!known) signals.set(cellId, (known = signal(states.get(cellId) ?? IDLE_CELL)));
      return known;
    },
    receive(message) {
      switch (message.type) {
        case "snapshot":
          receiveSnapshot(message);
          break;
        case "snapshot_part":
          receivePart(message.outputs);
          break;
        case "resumed":
          resumed();
          break;
        case "ops":
          receiveOperations(message.ops);
          break;
        case "kernel_notice":
          notice.value = message.queue_position === null && message.ends_at === null ? null : message;
          break;
        case "kernel_use":
          // It may overtake the log's own word that the kernel is another one: that clears it, the next figures set it.
          use.value = message.memory_bytes === null ? null : message;
          break;
      }
      publishSoon();
    },
    onGap(listener) {
      gapListeners.add(listener);
      return () => gapListeners.delete(listener);
    },
    flush,
  };
}
