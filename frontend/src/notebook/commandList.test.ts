import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { addCells } from "../crdt/operations";
import { activeCommands, registerCommands } from "../store/commands";
import { Keymap } from "../store/keymap";
import { type KeyboardPlace, notebookCommands } from "./commandList";
import { OpenNotebook } from "./openNotebook";
import { runAll } from "./runActions";

/** A socket that never opens: these tests are about the keyboard. */
class SilentSocket {
  static readonly OPEN = 1;
  readyState = 0;
  close(): void {
    this.readyState = 3;
  }
  send(): void {
    throw new Error("not open");
  }
}

interface Bench {
  notebook: OpenNotebook;
  place: { isActive: boolean; isOnCells: boolean; isInCells: boolean };
  press(chords: string, typing?: boolean): void;
  sources(): string[];
}

let bench: Bench;
let unregister: () => void;

function open(role: "editor" | "viewer"): Bench {
  const info = { id: "d1", path: "a.ipynb", epoch: "e1", role, project_id: "p1", kernelspec_name: "python3" };
  const notebook = new OpenNotebook(info, "alice", () => undefined);
  addCells(
    notebook.doc,
    0,
    ["one", "two", "three"].map((source) => ({ type: "code", source, metadata: {} })),
    ["c1", "c2", "c3"],
  );
  const place = { isActive: true, isOnCells: true, isInCells: true };
  const keyboard: KeyboardPlace = {
    isActive: () => place.isActive,
    isOnCells: () => place.isOnCells,
    isInCells: () => place.isInCells,
    scrollPage: () => undefined,
  };
  unregister = registerCommands(notebookCommands(notebook, keyboard));
  const keymap = new Keymap();
  let nowMs = 0;
  return {
    notebook,
    place,
    press(chords, typing = false) {
      for (const chord of chords.split(" ")) {
        const found = keymap.match(chord, typing, (nowMs += 10), activeCommands());
        if (found !== null && found !== "partial") void found.run();
      }
    },
    sources: () => notebook.model.order.value.map((id) => notebook.model.cell(id)?.source.value ?? ""),
  };
}

beforeEach(() => {
  vi.stubGlobal("WebSocket", SilentSocket);
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no network")));
  bench = open("editor");
});
afterEach(() => {
  unregister();
  bench.notebook.dispose();
});

const active = (): string | null => bench.notebook.selection.active.value;
const typeOf = (id: string): string | undefined => bench.notebook.model.cell(id)?.type.value;

describe("keys that must do nothing", () => {
  it("are those typed into a text, or pressed in another tab or on a button", () => {
    bench.press("D D", true);
    bench.place.isActive = false;
    bench.press("D D B A X");
    bench.place.isActive = true;
    bench.place.isOnCells = false;
    bench.press("D D B A X");
    expect(bench.sources()).toEqual(["one", "two", "three"]);
  });

  it("are those that change, for a viewer", () => {
    unregister();
    bench.notebook.dispose();
    bench = open("viewer");
    const run = vi.spyOn(bench.notebook.runs, "run");
    bench.press("D D A B X V M Shift-M 1 Shift-Enter Ctrl-Enter");
    expect(bench.sources()).toEqual(["one", "two", "three"]);
    expect(typeOf("c1")).toBe("code");
    expect(run).not.toHaveBeenCalled();
    bench.press("ArrowDown");
    expect(active()).toBe("c2");
  });

  it("is a single D", () => {
    bench.press("D ArrowDown D");
    expect(bench.sources()).toHaveLength(3);
  });
});

describe("command mode", () => {
  it("moves with arrows and J, K, and stops at the ends", () => {
    expect(active()).toBe("c1");
    bench.press("ArrowDown J J J");
    expect(active()).toBe("c3");
    bench.press("K ArrowUp ArrowUp ArrowUp");
    expect(active()).toBe("c1");
  });

  it("inserts above and below", () => {
    bench.press("ArrowDown A");
    expect(bench.sources()).toEqual(["one", "", "two", "three"]);
    bench.press("ArrowDown B");
    expect(bench.sources()).toEqual(["one", "", "two", "", "three"]);
  });

  it("deletes with D D and brings back with Z, outputs' ids included", () => {
    bench.press("ArrowDown D D");
    expect(bench.sources()).toEqual(["one", "three"]);
    expect(active()).toBe("c3");
    bench.press("Z");
    expect(bench.notebook.model.order.value).toEqual(["c1", "c2", "c3"]);
    bench.press("Shift-Z");
    expect(bench.sources()).toEqual(["one", "three"]);
  });

  it("leaves one empty cell when all are deleted", () => {
    bench.press("Ctrl-A D D");
    expect(bench.sources()).toEqual([""]);
  });

  it("extends the selection and acts on all of it", () => {
    bench.press("Shift-ArrowDown M");
    expect([typeOf("c1"), typeOf("c2"), typeOf("c3")]).toEqual(["markdown", "markdown", "code"]);
    bench.press("Y");
    expect(typeOf("c1")).toBe("code");
    bench.press("Shift-M");
    expect(bench.sources()).toEqual(["one\ntwo", "three"]);
  });

  it("copies, cuts and pastes cells", () => {
    bench.press("C V");
    expect(bench.sources()).toEqual(["one", "one", "two", "three"]);
    bench.press("End X Home Shift-V");
    expect(bench.sources()).toEqual(["three", "one", "one", "two"]);
  });

  it("makes headings and raw cells", () => {
    bench.press("2");
    expect(bench.sources()[0]).toBe("## one");
    expect(typeOf("c1")).toBe("markdown");
    bench.press("R");
    expect(typeOf("c1")).toBe("raw");
  });

  it("moves cells", () => {
    bench.press("Ctrl-Shift-ArrowDown");
    expect(bench.sources()).toEqual(["two", "one", "three"]);
    bench.press("Ctrl-Shift-ArrowUp Ctrl-Shift-ArrowUp");
    expect(bench.sources()).toEqual(["one", "two", "three"]);
  });

  it("hides outputs in the way JupyterLab notes it", () => {
    bench.press("O");
    expect(bench.notebook.model.cell("c1")?.metadata.value).toEqual({ jupyter: { outputs_hidden: true } });
    bench.press("O");
    expect(bench.notebook.model.cell("c1")?.metadata.value).toEqual({});
  });
});

describe("modes", () => {
  it("change with Enter and Escape", () => {
    bench.press("Enter");
    expect(bench.notebook.selection.mode.value).toBe("edit");
    bench.press("Escape", true);
    expect(bench.notebook.selection.mode.value).toBe("command");
  });
});

describe("running", () => {
  it("sends the source as it stands here, and goes on to the next cell", () => {
    const run = vi.spyOn(bench.notebook.runs, "run").mockResolvedValue();
    bench.press("Shift-Enter");
    expect(run).toHaveBeenCalledWith([{ cell_id: "c1", source: "one" }]);
    expect(active()).toBe("c2");
    bench.press("Ctrl-Enter");
    expect(active()).toBe("c2");
  });

  it("adds a cell after the last one, and below with Alt-Enter", () => {
    vi.spyOn(bench.notebook.runs, "run").mockResolvedValue();
    bench.press("End Shift-Enter");
    expect(bench.sources()).toEqual(["one", "two", "three", ""]);
    bench.press("Escape", true);
    bench.press("Home Alt-Enter");
    expect(bench.sources()).toEqual(["one", "", "two", "three", ""]);
  });

  it("works while typing", () => {
    const run = vi.spyOn(bench.notebook.runs, "run").mockResolvedValue();
    bench.press("Enter");
    bench.press("Shift-Enter", true);
    expect(run).toHaveBeenCalledTimes(1);
  });

  it("renders Markdown instead of sending it", () => {
    const run = vi.spyOn(bench.notebook.runs, "run").mockResolvedValue();
    bench.press("M");
    expect(bench.notebook.openMarkdown.value.has("c1")).toBe(true);
    bench.press("Ctrl-Enter");
    expect(bench.notebook.openMarkdown.value.has("c1")).toBe(false);
    expect(run).not.toHaveBeenCalled();
  });

  it("interrupts with I I and restarts with 0 0", () => {
    const interrupt = vi.spyOn(bench.notebook.runs, "interrupt").mockReturnValue();
    const start = vi.spyOn(bench.notebook.runs, "start").mockReturnValue();
    bench.press("I I 0 0");
    expect(interrupt).toHaveBeenCalledTimes(1);
    expect(start).toHaveBeenCalledTimes(1);
  });
});

describe("every command", () => {
  it("has its own id, and no two share a key in the same mode", () => {
    const list = activeCommands();
    expect(new Set(list.map((command) => command.id)).size).toBe(list.length);
    const taken = new Map<string, string>();
    for (const command of list) {
      for (const keys of command.keys ?? []) {
        const place = `${keys} ${String(command.whileTyping ?? false)}`;
        expect(taken.get(place), `${keys}: ${command.id}`).toBeUndefined();
        taken.set(place, command.id);
      }
    }
  });
});

describe("Run all before the cells are there", () => {
  it("runs them as soon as they are", async () => {
    unregister();
    bench.notebook.dispose();
    const info = { id: "d2", path: "b.ipynb", epoch: "e1", role: "editor" as const, project_id: "p1", kernelspec_name: "python3" };
    const late = new OpenNotebook(info, "alice", () => undefined);
    const run = vi.spyOn(late.runs, "run").mockResolvedValue();
    runAll(late);
    await Promise.resolve();
    expect(run).not.toHaveBeenCalled();
    addCells(late.doc, 0, [{ type: "code", source: "1", metadata: {} }], ["x"]);
    await late.whenReady;
    await Promise.resolve();
    expect(run).toHaveBeenCalledWith([{ cell_id: "x", source: "1" }]);
    late.dispose();
    bench = open("editor");
  });
});
