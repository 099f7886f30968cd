/** What changed between two states of a notebook: by cell, and within a cell by line. Pure. */

import { fromNbformatCell } from "../crdt/nbformat";
import { isJsonObject, type Json, type JsonObject } from "../crdt/schema";

export interface LineChange {
  kind: "same" | "added" | "removed";
  text: string;
}

export interface CellChange {
  kind: "added" | "removed" | "changed" | "same";
  cellId: string;
  type: string;
  isMoved: boolean;
  /** Of the source; empty where nothing changed. */
  lines: readonly LineChange[];
}

interface FlatCell {
  id: string;
  type: string;
  source: string;
}

/** Longer sources are shown as wholly replaced: comparing them would take the square of their lengths. */
const MOST_COMPARED_LINES = 1_500;

/** The cells of `after` in their order, with those that only `before` has where they were. Outputs are not compared. */
export function compareNotebooks(before: JsonObject, after: JsonObject): CellChange[] {
  const old = flatCells(before);
  const current = flatCells(after);
  const oldById = new Map(old.map((cell) => [cell.id, cell]));
  const currentIds = new Set(current.map((cell) => cell.id));
  const stayed = longestRising(current.filter((cell) => oldById.has(cell.id)).map((cell) => old.findIndex((other) => other.id === cell.id)));
  const inPlace = new Set([...stayed].map((index) => old[index]?.id));

  const changes: CellChange[] = [];
  let next = 0;
  const passRemoved = (end: number): void => {
    for (; next < end; next += 1) {
      const cell = old[next];
      if (cell && !currentIds.has(cell.id)) {
        changes.push({ kind: "removed", cellId: cell.id, type: cell.type, isMoved: false, lines: compareLines(cell.source, "") });
      }
    }
  };
  for (const cell of current) {
    const was = oldById.get(cell.id);
    if (!was) {
      changes.push({ kind: "added", cellId: cell.id, type: cell.type, isMoved: false, lines: compareLines("", cell.source) });
      continue;
    }
    if (inPlace.has(cell.id)) passRemoved(old.indexOf(was));
    const isSame = was.source === cell.source && was.type === cell.type;
    changes.push({
      kind: isSame ? "same" : "changed",
      cellId: cell.id,
      type: cell.type,
      isMoved: !inPlace.has(cell.id),
      lines: isSame ? [] : compareLines(was.source, cell.source),
    });
  }
  passRemoved(old.length);
  return changes;
}

/** The fewest lines taken out and put in that make `after` of `before`. */
export function compareLines(before: string, after: string): LineChange[] {
  const old = linesOf(before);
  const current = linesOf(after);
  let start = 0;
  while (start < old.length && start < current.length && old[start] === current[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < current.length - start && old[old.length - 1 - end] === current[current.length - 1 - end]) end += 1;
  const middleOld = old.slice(start, old.length - end);
  const middleNew = current.slice(start, current.length - end);
  const same = (text: string): LineChange => ({ kind: "same", text });
  return [...old.slice(0, start).map(same), ...compareMiddle(middleOld, middleNew), ...old.slice(old.length - end).map(same)];
}

function compareMiddle(old: readonly string[], current: readonly string[]): LineChange[] {
  const removed = (text: string): LineChange => ({ kind: "removed", text });
  const added = (text: string): LineChange => ({ kind: "added", text });
  if (old.length === 0 || current.length === 0 || old.length > MOST_COMPARED_LINES || current.length > MOST_COMPARED_LINES) {
    return [...old.map(removed), ...current.map(added)];
  }
  // lengths[i * width + j]: of the longest common subsequence of old[i..] and current[j..].
  const width = current.length + 1;
  const lengths = new Uint16Array((old.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = current.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = old[i] === current[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const changes: LineChange[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < current.length) {
    const [was, is] = [old[i], current[j]];
    if (was !== undefined && was === is) {
      changes.push({ kind: "same", text: was });
      i += 1;
      j += 1;
    } else if (was !== undefined && (is === undefined || at(i + 1, j) >= at(i, j + 1))) {
      changes.push(removed(was));
      i += 1;
    } else if (is !== undefined) {
      changes.push(added(is));
      j += 1;
    }
  }
  return changes;
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.split("\n");
}

function flatCells(notebook: JsonObject): FlatCell[] {
  const cells: Json[] = Array.isArray(notebook.cells) ? notebook.cells : [];
  return cells.flatMap((value, index) => {
    const cell = fromNbformatCell(value);
    if (!cell || !isJsonObject(value)) return [];
    return [{ id: typeof value.id === "string" ? value.id : `#${String(index)}`, type: cell.type, source: cell.source }];
  });
}

/** The values of a longest rising subsequence: what kept its order. */
function longestRising(values: readonly number[]): Set<number> {
  const tails: number[] = []; // index into `values` of the smallest end of a rising sequence of each length
  const before: number[] = [];
  values.forEach((value, index) => {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((values[tails[middle] ?? 0] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    before[index] = low > 0 ? (tails[low - 1] ?? -1) : -1;
    tails[low] = index;
  });
  const rising = new Set<number>();
  for (let index = tails.at(-1) ?? -1; index >= 0; index = before[index] ?? -1) rising.add(values[index] ?? 0);
  return rising;
}
