import { expect, test } from "vitest";

import type { JsonObject } from "../crdt/schema";
import { compareLines, compareNotebooks } from "./versionDiff";

const notebook = (...cells: [id: string, source: string, type?: string][]): JsonObject => ({
  cells: cells.map(([id, source, type = "code"]) => ({ id, cell_type: type, metadata: {}, source })),
});
const told = (before: JsonObject, after: JsonObject): string[] =>
  compareNotebooks(before, after).map(({ kind, cellId, isMoved }) => `${kind} ${cellId}${isMoved ? " moved" : ""}`);
const marks = { same: " ", added: "+", removed: "-" } as const;
const shown = (before: string, after: string): string[] => compareLines(before, after).map(({ kind, text }) => marks[kind] + text);

test("cells that came, went, changed and stayed are told in the order of the newer state", () => {
  const before = notebook(["a", "1"], ["b", "2"], ["c", "3"], ["d", "4"]);
  const after = notebook(["a", "1"], ["c", "33"], ["new", "5"], ["d", "4"]);
  expect(told(before, after)).toEqual(["same a", "removed b", "changed c", "added new", "same d"]);
});

test("only what was moved counts as moved, not what it passed", () => {
  const before = notebook(["a", ""], ["b", ""], ["c", ""], ["d", ""]);
  expect(told(before, notebook(["d", ""], ["a", ""], ["b", ""], ["c", ""]))).toEqual(["same d moved", "same a", "same b", "same c"]);
});

test("another type is a change, and so is nothing else than the source", () => {
  const before = notebook(["a", "x"]);
  expect(told(before, notebook(["a", "x", "markdown"]))).toEqual(["changed a"]);
  expect(told(before, { cells: [{ id: "a", cell_type: "code", metadata: { tags: [] }, source: ["x"], outputs: [1] }] })).toEqual(["same a"]);
});

test("lines are compared with as few changes as can be", () => {
  expect(shown("a\nb\nc", "a\nx\nc")).toEqual([" a", "-b", "+x", " c"]);
  expect(shown("", "a")).toEqual(["+a"]);
  expect(shown("a", "")).toEqual(["-a"]);
  expect(shown("a\nb\nc\nd", "b\nd\ne")).toEqual(["-a", " b", "-c", " d", "+e"]);
});

test("any two texts are told completely, long ones too", () => {
  const random = (seed: number) => () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const next = random(7);
  for (let round = 0; round < 50; round += 1) {
    const text = (): string => Array.from({ length: Math.floor(next() * 12) }, () => "abcd"[Math.floor(next() * 4)]).join("\n");
    const [before, after] = [text(), text()];
    const changes = compareLines(before, after);
    expect(changes.filter((line) => line.kind !== "added").map((line) => line.text).join("\n")).toBe(before);
    expect(changes.filter((line) => line.kind !== "removed").map((line) => line.text).join("\n")).toBe(after);
  }
  const long = Array.from({ length: 4_000 }, (_, line) => String(line)).join("\n");
  expect(compareLines(long, `${long.replaceAll("1", "x")}\nend`).length).toBeGreaterThan(4_000);
});

test("what is no notebook has no cells", () => {
  expect(compareNotebooks({ cells: "none" }, { cells: [null, 5, {}] })).toEqual([]);
});
