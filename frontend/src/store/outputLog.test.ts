import { effect } from "@preact/signals";
import { describe, expect, it, vi } from "vitest";

import vectors from "../../../tests/vectors/operations.json";
import { createOutputLog, type CellState, type LogMessage, type Operation } from "./outputLog";
import { applyOperation, IDLE_CELL } from "./outputLogApply";

const whole = (cells: object): Map<string, CellState> =>
  new Map(Object.entries(cells).map(([id, cell]) => [id, { ...IDLE_CELL, ...(cell as Partial<CellState>) }]));

function freeze<T>(value: T): T {
  if (value !== null && typeof value === "object" && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) freeze(item);
  }
  return value;
}

const print = (seq: number, text: string, cellId = "a"): Operation => ({
  op: "stream", seq, at: 0, cell_id: cellId, run_id: "r", index: 0, name: "stdout", text,
});

const snapshot = (seq: number, cells: Record<string, Partial<CellState>> = {}): LogMessage => ({ type: "snapshot", seq, kernel: null, cells });

function openLog() {
  const frames: (() => void)[] = [];
  const log = createOutputLog((callback) => frames.push(callback));
  return { log, frames, frame: () => frames.splice(0).forEach((callback) => { callback(); }) };
}

describe("operations", () => {
  it.each(vectors.vectors)("$name", (vector) => {
    const cells = whole("before" in vector ? (vector.before ?? {}) : {});
    for (const cell of cells.values()) freeze(cell);
    for (const operation of vector.ops) applyOperation(cells, operation as Operation);
    expect(Object.fromEntries(cells)).toEqual(Object.fromEntries(whole(vector.after)));
  });
});

describe("the output log", () => {
  it("leaves states alone that an unknown operation of a newer hub names", () => {
    const { log, frame } = openLog();
    log.receive(snapshot(1, { a: { state: "running" } }));
    log.receive({ type: "ops", ops: [{ op: "sparkle", seq: 2, at: 0, cell_id: "a" } as unknown as Operation] });
    frame();
    expect(log.cell("a").value.state).toBe("running");
    expect(log.seq).toBe(2);
  });

  it("ignores what it has seen", () => {
    const { log, frame } = openLog();
    log.receive(snapshot(1));
    log.receive({ type: "ops", ops: [print(2, "x"), print(3, "y")] });
    log.receive({ type: "ops", ops: [print(2, "x"), print(3, "y"), print(4, "z")] });
    frame();
    expect(log.cell("a").value.outputs).toEqual([{ output_type: "stream", name: "stdout", text: "xyz" }]);
    expect(log.seq).toBe(4);
  });

  it("tells once when operations are missing and goes on after resume", () => {
    const { log, frame } = openLog();
    const gap = vi.fn();
    log.onGap(gap);
    log.receive(snapshot(5));
    log.receive({ type: "ops", ops: [print(6, "a")] });
    log.receive({ type: "ops", ops: [print(8, "c")] });
    log.receive({ type: "ops", ops: [print(9, "d")] });
    expect(gap).toHaveBeenCalledTimes(1);
    expect(log.seq).toBe(6);
    log.receive({ type: "resumed", seq: 6 });
    log.receive({ type: "ops", ops: [print(7, "b"), print(8, "c"), print(9, "d")] });
    frame();
    expect(log.cell("a").value.outputs[0]).toMatchObject({ text: "abcd" });
  });

  it("takes the first operation after resume whatever its number, so a hole cannot stop it for ever", () => {
    const { log } = openLog();
    const gap = vi.fn();
    log.onGap(gap);
    log.receive(snapshot(5));
    log.receive({ type: "ops", ops: [print(9, "a")] });
    expect(gap).not.toHaveBeenCalled();
    expect(log.seq).toBe(9);
  });

  it("follows a new writer from its first number", () => {
    const { log } = openLog();
    const gap = vi.fn();
    log.onGap(gap);
    log.receive(snapshot(2 ** 32 + 7));
    log.receive({ type: "ops", ops: [print(2 ** 32 + 8, "a"), print(2 * 2 ** 32 + 1, "b"), print(2 * 2 ** 32 + 2, "c")] });
    expect(gap).not.toHaveBeenCalled();
    log.receive({ type: "ops", ops: [print(3 * 2 ** 32 + 2, "d")] });
    expect(gap).toHaveBeenCalledTimes(1);
  });

  it("publishes many operations once a frame, and only the cells that changed", () => {
    const { log, frame, frames } = openLog();
    log.receive(snapshot(1, { a: {}, b: {} }));
    const seen = { a: 0, b: 0 };
    effect(() => { void log.cell("a").value; seen.a += 1; });
    effect(() => { void log.cell("b").value; seen.b += 1; });
    for (let seq = 2; seq < 1002; seq += 1) log.receive({ type: "ops", ops: [print(seq, `${String(seq)}\n`)] });
    expect(frames).toHaveLength(1);
    frame();
    expect(seen).toEqual({ a: 2, b: 1 });
  });

  it("keeps the identity of outputs that did not change", () => {
    const { log, frame } = openLog();
    const first = { output_type: "stream", name: "stderr", text: "1" } as const;
    log.receive(snapshot(1, { a: { outputs: [first, { output_type: "stream", name: "stdout", text: "2" }] } }));
    const before = log.cell("a").value.outputs;
    log.receive({ type: "ops", ops: [{ ...print(2, "3"), index: 1 } as Operation] });
    frame();
    const after = log.cell("a").value.outputs;
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });

  it("shows a snapshot at once and forgets cells that are not in it", () => {
    const { log } = openLog();
    log.receive(snapshot(1, { a: { state: "ok" }, b: { state: "error" } }));
    const b = log.cell("b");
    expect(b.value.state).toBe("error");
    log.receive(snapshot(2, { a: { state: "running" } }));
    expect(b.value).toBe(IDLE_CELL);
    expect(log.cell("a").value.state).toBe("running");
  });

  it("puts a snapshot together that came in parts", () => {
    const { log, frame } = openLog();
    log.receive({ ...snapshot(3, { a: { state: "ok" } }), parts: 2 } as LogMessage);
    log.receive({ type: "snapshot_part", outputs: { a: [{ output_type: "notice", code: "x", text: "1" }] } });
    log.receive({ type: "snapshot_part", outputs: { a: [{ output_type: "notice", code: "x", text: "2" }] } });
    frame();
    expect(log.cell("a").value.outputs).toHaveLength(2);
  });

  it("tells the kernel's state and its reason", () => {
    const { log } = openLog();
    log.receive({ type: "ops", ops: [{ op: "kernel", seq: 1, at: 0, kernel_id: "k", kernelspec_name: "python3", state: "died", reason: "It ended." }] });
    expect(log.kernel.value).toEqual({ kernel_id: "k", kernelspec_name: "python3", state: "died", reason: "It ended." });
  });

  it("has what the kernel uses until that kernel ends or another takes its place", () => {
    const { log } = openLog();
    const use = { type: "kernel_use", kernel_id: "k", memory_bytes: 5, memory_limit_bytes: 10, cpu_cores: 0.5, cpu_limit_cores: null } as const;
    let seq = 0;
    const tell = (kernelId: string, state: string): void =>
      { log.receive({ type: "ops", ops: [{ op: "kernel", seq: ++seq, at: 0, kernel_id: kernelId, kernelspec_name: "python3", state }] }); };
    tell("k", "idle");
    log.receive(use);
    tell("k", "busy");
    log.receive({ type: "resumed", seq });
    expect(log.use.value).toEqual(use);
    tell("k", "killed");
    expect(log.use.value).toBeNull();
    log.receive(use);
    tell("other", "starting");
    expect(log.use.value).toBeNull();
    log.receive({ ...use, memory_bytes: null });
    expect(log.use.value).toBeNull();
  });

  it("publishes also when the page is hidden and has no frames", async () => {
    vi.stubGlobal("requestAnimationFrame", () => 0);
    vi.stubGlobal("cancelAnimationFrame", () => undefined);
    const log = createOutputLog();
    log.receive(snapshot(1));
    log.receive({ type: "ops", ops: [print(2, "x")] });
    await vi.waitFor(() => { expect(log.cell("a").value.outputs).toHaveLength(1); });
  });

  it("applies 100,000 lines in well under a second", () => {
    const { log, frame } = openLog();
    log.receive(snapshot(1));
    const begin = performance.now();
    let seq = 1;
    for (let line = 0; line < 100_000; line += 500) {
      seq += 1;
      log.receive({ type: "ops", ops: [print(seq, "0123456789\n".repeat(500))] });
      frame();
    }
    expect(performance.now() - begin).toBeLessThan(1000);
  });
});
