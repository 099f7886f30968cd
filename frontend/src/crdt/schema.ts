/** The shape of a notebook's Yjs document (docs/reference/documents.md): reading and making cells. */

import { generateKeyBetween, generateNKeysBetween } from "fractional-indexing";
import * as Y from "yjs";

export type CellType = "code" | "markdown" | "raw";
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
export type YCell = Y.Map<unknown>;

export interface CellContent {
  type: CellType;
  source: string;
  metadata: JsonObject;
  attachments?: JsonObject;
  extra?: JsonObject;
}

export const cellsOf = (doc: Y.Doc): Y.Map<YCell> => doc.getMap<YCell>("cells");
export const notebookOf = (doc: Y.Doc): Y.Map<unknown> => doc.getMap("notebook");

export const isCellType = (value: unknown): value is CellType =>
  value === "code" || value === "markdown" || value === "raw";

/** False for a cell that is not of the documented shape: such a cell is left out. */
export function isCell(cell: unknown): cell is YCell {
  return (
    cell instanceof Y.Map &&
    isCellType(cell.get("type")) &&
    cell.get("source") instanceof Y.Text &&
    typeof cell.get("position") === "string"
  );
}

export const positionOf = (cell: YCell): string => cell.get("position") as string;
export const textOf = (cell: YCell): Y.Text => cell.get("source") as Y.Text;

/** Ids of the cells in order: by position, then by id. */
export function orderedCellIds(doc: Y.Doc): string[] {
  const entries: [string, string][] = [];
  cellsOf(doc).forEach((cell, id) => {
    if (isCell(cell)) entries.push([positionOf(cell), id]);
  });
  entries.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0));
  return entries.map((entry) => entry[1]);
}

/** A new id as nbformat 4.5 wants it: 8 to 64 of `[a-zA-Z0-9-_]`. */
export function newCellId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function makeCell(content: CellContent, position: string): YCell {
  const cell: YCell = new Y.Map();
  cell.set("type", content.type);
  cell.set("source", new Y.Text(content.source));
  const metadata = new Y.Map<Json>();
  for (const [key, value] of Object.entries(content.metadata)) metadata.set(key, value);
  cell.set("metadata", metadata);
  cell.set("position", position);
  if (content.attachments && Object.keys(content.attachments).length) {
    cell.set("attachments", content.attachments);
  }
  if (content.extra && Object.keys(content.extra).length) cell.set("extra", content.extra);
  return cell;
}

export function readCell(cell: YCell): CellContent {
  const metadata = cell.get("metadata");
  const content: CellContent = {
    type: cell.get("type") as CellType,
    source: textOf(cell).toString(),
    metadata: metadata instanceof Y.Map ? (metadata.toJSON() as JsonObject) : {},
  };
  const attachments = cell.get("attachments");
  const extra = cell.get("extra");
  if (isJsonObject(attachments)) content.attachments = attachments;
  if (isJsonObject(extra)) content.extra = extra;
  return content;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * `count` positions after the cell at `index - 1` and before the one at `index`.
 *
 * Two people who add at the same place at once make equal positions; a key between two equal ones
 * does not exist, so the run of equals is left towards its end, where there is room.
 */
export function positionsAt(doc: Y.Doc, index: number, count: number, without: Set<string> = new Set()): string[] {
  const cells = cellsOf(doc);
  const order = orderedCellIds(doc).filter((id) => !without.has(id));
  const position = (at: number): string | null => {
    const id = order[at];
    const cell = id === undefined ? undefined : cells.get(id);
    return cell ? positionOf(cell) : null;
  };
  const before = index > 0 ? position(index - 1) : null;
  let next = index;
  while (before !== null && position(next) === before) next += 1;
  return keysBetween(before, position(next), count);
}

function keysBetween(before: string | null, after: string | null, count: number): string[] {
  try {
    return generateNKeysBetween(before, after, count);
  } catch {
    // A neighbour's position is no valid key (written by other software): stay behind `before` by plain string order.
    const keys: string[] = [];
    let last = before ?? "";
    for (let made = 0; made < count; made += 1) {
      last = `${last}V`;
      keys.push(last);
    }
    return keys;
  }
}

export const firstPosition = (): string => generateKeyBetween(null, null);
