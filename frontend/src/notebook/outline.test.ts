import { effect, signal } from "@preact/signals";
import { expect, test } from "vitest";
import * as Y from "yjs";

import { NotebookModel } from "../crdt/notebookModel";
import { addCells, changeType, deleteCells, moveCells, setSource } from "../crdt/operations";
import type { CellType } from "../crdt/schema";
import { sectionsOf } from "../panels/outlineTree";
import { NotebookOutline } from "./outline";
import { headingsOf } from "./outputs";

const told = (source: string): string[] => headingsOf(source).map(({ level, text }) => `${String(level)} ${text}`);

test("headings are told with their rank, without the signs of Markdown", () => {
  expect(told("# One *two* `three`\n\ntext\n\n### [Four](http://x.example/) &amp; five&#33; ###\n\n## 2 < 3")).toEqual(["1 One two three", "3 Four & five!", "2 2 < 3"]);
  expect(told("First\n===\n\nSecond\n---")).toEqual(["1 First", "2 Second"]);
  expect(told("# The area $\\pi r^2$")).toEqual(["1 The area $\\pi r^2$"]);
  expect(told("# ![a picture](x.png) and words")).toEqual(["1 a picture and words"]);
});

test("headings in lists, quotes and HTML count, as they are drawn", () => {
  expect(told("- # In a list\n\n> ## In a quote\n\n<h3 class='x'>In <b>HTML</b></h3>\n\n#### Last")).toEqual(["1 In a list", "2 In a quote", "3 In HTML", "4 Last"]);
});

test("what only looks like a heading is none", () => {
  expect(told("```\n# a comment\n```\n\n    # in code\n\n#no space\n\na # b\n\n| a |\n|---|\n| # |")).toEqual([]);
  expect(told("")).toEqual([]);
  expect(told("# A &unknown; &#99999999; B")).toEqual(["1 A &unknown; &#99999999; B"]);
});

function opened(...cells: [type: CellType, source: string][]) {
  const doc = new Y.Doc();
  const ids = addCells(doc, 0, cells.map(([type, source]) => ({ type, source, metadata: {} })));
  const active = signal<string | null>(null);
  const outline = new NotebookOutline(new NotebookModel(doc), active, ({ cellId }) => (active.value = cellId));
  const shown = (): string[] => outline.entries.value.map(({ cellId, nth, text }) => `${String(ids.indexOf(cellId))}.${String(nth)} ${text}`);
  return { doc, ids, active, outline, shown };
}
const at = (ids: readonly string[], index: number): string => ids[index] ?? "";

test("the outline has the headings of text cells only, and follows every edit", () => {
  const { doc, ids, shown } = opened(["markdown", "# A\n\n## B"], ["code", "# a comment"], ["markdown", "words"], ["markdown", "# C"]);
  expect(shown()).toEqual(["0.0 A", "0.1 B", "3.0 C"]);
  setSource(doc, at(ids, 2), "# New");
  expect(shown()).toEqual(["0.0 A", "0.1 B", "2.0 New", "3.0 C"]);
  moveCells(doc, [at(ids, 3)], 0);
  expect(shown()).toEqual(["3.0 C", "0.0 A", "0.1 B", "2.0 New"]);
  changeType(doc, [at(ids, 1)], "markdown");
  expect(shown()).toEqual(["3.0 C", "0.0 A", "0.1 B", "1.0 a comment", "2.0 New"]);
  deleteCells(doc, [at(ids, 0)]);
  expect(shown()).toEqual(["3.0 C", "1.0 a comment", "2.0 New"]);
});

test("a keystroke in code does not make the outline anew", () => {
  const { doc, ids, outline } = opened(["markdown", "# A"], ["code", "1"]);
  let count = 0;
  const stop = effect(() => {
    void outline.entries.value;
    count += 1;
  });
  setSource(doc, at(ids, 1), "1 + 1");
  expect(count).toBe(1);
  setSource(doc, at(ids, 0), "# A!");
  expect(count).toBe(2);
  stop();
});

test("the current heading is the last one at or above the active cell", () => {
  const { ids, active, outline } = opened(["code", "1"], ["markdown", "# A\n\n## B"], ["code", "2"], ["markdown", "# C"], ["code", "3"]);
  const current = ids.map((id) => {
    active.value = id;
    return outline.current.value?.text ?? null;
  });
  expect(current).toEqual([null, "B", "B", "C", "C"]);
  active.value = null;
  expect(outline.current.value).toBeNull();
});

test("who went to a heading is at it, until they are elsewhere", () => {
  const { doc, ids, active, outline } = opened(["markdown", "# A\n\n## B"], ["code", "1"]);
  const [first] = outline.entries.value;
  if (!first) throw new Error("There is no heading.");
  outline.go(first);
  expect(outline.current.value?.text).toBe("A");
  setSource(doc, at(ids, 0), "# A!\n\n## B");
  expect(outline.current.value?.text).toBe("A!");
  active.value = at(ids, 1);
  expect(outline.current.value?.text).toBe("B");
  setSource(doc, at(ids, 0), "words");
  outline.go(first);
  expect(outline.current.value).toBeNull();
});

test("sections are in the last section of a higher rank, also when ranks are left out", () => {
  const words = (ranks: number[]): string => {
    const say = (sections: ReturnType<typeof sectionsOf<{ level: number }>>): string => sections.map(({ entry, sections: inner }) => `${String(entry.level)}${inner.length > 0 ? `(${say(inner)})` : ""}`).join(" ");
    return say(sectionsOf(ranks.map((level) => ({ level }))));
  };
  expect(words([1, 2, 2, 3, 1, 3, 2])).toBe("1(2 2(3)) 1(3 2)");
  expect(words([3, 2, 4, 1])).toBe("3 2(4) 1");
  expect(words([])).toBe("");
});
