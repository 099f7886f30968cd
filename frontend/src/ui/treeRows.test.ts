import { describe, expect, test } from "vitest";
import { stepInTree, treeRows, visibleRange, type TreeNode } from "./treeRows";

const node = (id: string, children?: TreeNode<string>[] | null): TreeNode<string> => ({ id, text: id.split("/").at(-1) ?? id, item: id, children });
const NODES = [node("data", [node("data/raw", []), node("data/a.csv")]), node("lost", null), node("main.py"), node("notes.md")];
const rows = (...open: string[]) => treeRows(NODES, new Set(open));
const ids = (...open: string[]) => rows(...open).map((row) => row.id);

describe("treeRows", () => {
  test("shows what is below open branches only", () => {
    expect(ids()).toEqual(["data", "lost", "main.py", "notes.md"]);
    expect(ids("data")).toEqual(["data", "data/raw", "data/a.csv", "lost", "main.py", "notes.md"]);
    expect(ids("data/raw")).toEqual(["data", "lost", "main.py", "notes.md"]);
  });

  test("a branch whose children are not known yet is open and empty", () => {
    const row = rows("lost").find((candidate) => candidate.id === "lost");
    expect(row).toMatchObject({ isBranch: true, isOpen: true });
    expect(ids("lost")).toHaveLength(4);
  });

  test("counts siblings for screen readers", () => {
    expect(rows("data")[2]).toMatchObject({ id: "data/a.csv", depth: 1, siblingIndex: 1, siblingCount: 2 });
  });
});

describe("stepInTree", () => {
  const step = (index: number, key: string, ...open: string[]) => stepInTree(rows(...open), index, key);

  test("arrows move and stop at both ends", () => {
    expect(step(0, "ArrowDown")).toEqual({ kind: "focus", id: "lost" });
    expect(step(3, "ArrowDown")).toEqual({ kind: "focus", id: "notes.md" });
    expect(step(0, "ArrowUp")).toEqual({ kind: "focus", id: "data" });
    expect(step(2, "Home")).toEqual({ kind: "focus", id: "data" });
    expect(step(0, "End")).toEqual({ kind: "focus", id: "notes.md" });
  });

  test("right opens, then enters; left closes, then leaves", () => {
    expect(step(0, "ArrowRight")).toEqual({ kind: "open" });
    expect(step(0, "ArrowRight", "data")).toEqual({ kind: "focus", id: "data/raw" });
    expect(step(0, "ArrowLeft", "data")).toEqual({ kind: "close" });
    expect(step(2, "ArrowLeft", "data")).toEqual({ kind: "focus", id: "data" });
    expect(step(2, "ArrowRight")).toBeNull();
    expect(step(0, "ArrowLeft")).toBeNull();
  });

  test("right on an open branch without children goes nowhere", () => {
    expect(step(1, "ArrowRight", "data", "data/raw")).toBeNull();
  });

  test("a letter finds the next row that begins with it, around the end", () => {
    expect(step(0, "n")).toEqual({ kind: "focus", id: "notes.md" });
    expect(step(3, "M")).toEqual({ kind: "focus", id: "main.py" });
    expect(step(0, "z")).toBeNull();
    expect(step(9, "ArrowDown")).toBeNull();
  });
});

describe("visibleRange", () => {
  test("draws what is in sight and a little more, however many rows there are", () => {
    const { first, last } = visibleRange(100_000, 26, 26_000, 520);
    expect(first).toBeLessThanOrEqual(1000);
    expect(last).toBeGreaterThanOrEqual(1020);
    expect(last - first).toBeLessThan(60);
  });

  test("never leaves the list", () => {
    expect(visibleRange(3, 26, 0, 800)).toEqual({ first: 0, last: 3 });
    expect(visibleRange(3, 26, 90_000, 800)).toEqual({ first: 3, last: 3 });
    expect(visibleRange(0, 26, 0, 800)).toEqual({ first: 0, last: 0 });
  });
});
