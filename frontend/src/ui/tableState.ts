/** What a table shows, as data: search, order, filters, page and selection. Pure; the address of the page keeps it. */

export interface TableState {
  readonly search: string;
  /** A column's id, with a minus in front for the other direction; empty: the order the hub gives. */
  readonly sort: string;
  /** From 0. */
  readonly page: number;
  /** Filter's id → chosen value; a filter that is not there chooses nothing. */
  readonly filters: Readonly<Record<string, string>>;
}

export const PAGE_SIZE = 50;
export const EMPTY_STATE: TableState = { search: "", sort: "", page: 0, filters: {} };

export function withSearch(state: TableState, search: string): TableState {
  return { ...state, search, page: 0 };
}

export function withFilter(state: TableState, id: string, value: string): TableState {
  const others = Object.fromEntries(Object.entries(state.filters).filter(([name]) => name !== id));
  return { ...state, filters: value === "" ? others : { ...others, [id]: value }, page: 0 };
}

/** Upwards, then downwards, then upwards again; figures start with the largest. */
export function toggledSort(state: TableState, column: string, startsDown = false): TableState {
  const [first, second] = startsDown ? [`-${column}`, column] : [column, `-${column}`];
  return { ...state, sort: state.sort === first ? second : first, page: 0 };
}

/** For `aria-sort`. */
export function sortDirection(state: TableState, column: string): "ascending" | "descending" | "none" {
  if (state.sort === column) return "ascending";
  return state.sort === `-${column}` ? "descending" : "none";
}

export function pageCount(total: number, size = PAGE_SIZE): number {
  return Math.max(1, Math.ceil(total / size));
}

/** The page that exists: rows may have gone since it was chosen. */
export function clampedPage(page: number, total: number, size = PAGE_SIZE): number {
  return Math.max(0, Math.min(page, pageCount(total, size) - 1));
}

/** `51–100 of 234`, or how many there are when they fit on one page. */
export function rangeLabel(page: number, total: number, noun: string, plural: string, size = PAGE_SIZE): string {
  const count = total.toLocaleString("en-GB");
  if (total <= size) return `${count} ${total === 1 ? noun : plural}`;
  const first = page * size + 1;
  return `${first.toLocaleString("en-GB")}–${Math.min(total, first + size - 1).toLocaleString("en-GB")} of ${count} ${plural}`;
}

const RESERVED = new Set(["q", "sort", "page"]);

/** The state as the part of an address after `?`; empty for the plain state. */
export function stateToQuery(state: TableState): string {
  const query = new URLSearchParams();
  if (state.search) query.set("q", state.search);
  for (const [id, value] of Object.entries(state.filters)) query.set(id, value);
  if (state.sort) query.set("sort", state.sort);
  if (state.page > 0) query.set("page", String(state.page + 1));
  return query.toString();
}

/** The state an address asks for. Filters that the table does not have are left out, and so is what makes no sense. */
export function stateFromQuery(text: string, filterIds: readonly string[]): TableState {
  const query = new URLSearchParams(text);
  const filters: Record<string, string> = {};
  for (const id of filterIds) {
    const value = query.get(id);
    if (value && !RESERVED.has(id)) filters[id] = value;
  }
  const page = Number(query.get("page") ?? "1");
  return { search: query.get("q") ?? "", sort: query.get("sort") ?? "", page: Number.isInteger(page) && page > 0 ? page - 1 : 0, filters };
}

export interface LocalColumn<Row> {
  id: string;
  /** What the rows are put in order by; null goes last in both directions. */
  value?: ((row: Row) => string | number | null) | undefined;
}

/** One page of a list that is here as a whole, and how many rows match. */
export function localPage<Row>(
  rows: readonly Row[],
  state: TableState,
  columns: readonly LocalColumn<Row>[],
  textOf: (row: Row) => string,
  matches: (row: Row, filters: TableState["filters"]) => boolean = () => true,
  size = PAGE_SIZE,
): { rows: Row[]; total: number } {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter((row) => {
    if (!matches(row, state.filters)) return false;
    const text = textOf(row).toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const isDown = state.sort.startsWith("-");
  const value = columns.find((column) => column.id === (isDown ? state.sort.slice(1) : state.sort))?.value;
  if (value) found.sort((one, other) => compared(value(one), value(other), isDown));
  const first = clampedPage(state.page, found.length, size) * size;
  return { rows: found.slice(first, first + size), total: found.length };
}

function compared(one: string | number | null, other: string | number | null, isDown: boolean): number {
  if (one === null || other === null) return one === other ? 0 : one === null ? 1 : -1;
  const order = typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true, sensitivity: "base" });
  return isDown ? -order : order;
}

export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** Where a range with Shift starts. */
  readonly anchor: string | null;
}

export const NOTHING_SELECTED: Selection = { ids: new Set(), anchor: null };

/** With `isRange`, everything between the last choice and this row gets what this row gets. */
export function toggled(selection: Selection, id: string, order: readonly string[], isRange = false): Selection {
  const ids = new Set(selection.ids);
  const isOn = !ids.has(id);
  const from = isRange && selection.anchor !== null ? order.indexOf(selection.anchor) : -1;
  const to = order.indexOf(id);
  const touched = from < 0 || to < 0 ? [id] : order.slice(Math.min(from, to), Math.max(from, to) + 1);
  for (const each of touched) {
    if (isOn) ids.add(each);
    else ids.delete(each);
  }
  return { ids, anchor: id };
}

/** All of the page, or none of it when all were chosen. */
export function toggledAll(selection: Selection, order: readonly string[]): Selection {
  const areAll = order.length > 0 && order.every((id) => selection.ids.has(id));
  return { ids: new Set(areAll ? [] : order), anchor: null };
}

/** Without rows that are not shown any more: nobody acts on what they cannot see. */
export function keptSelection(selection: Selection, order: readonly string[]): Selection {
  const shown = new Set(order);
  const ids = new Set([...selection.ids].filter((id) => shown.has(id)));
  return ids.size === selection.ids.size ? selection : { ids, anchor: selection.anchor !== null && shown.has(selection.anchor) ? selection.anchor : null };
}
