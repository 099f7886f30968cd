import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { HubError } from "../api/errors";
import { Button, IconButton } from "./Button";
import { Icon } from "./Icon";
import { openMenu, type MenuItem } from "./Menu";
import { Loading } from "./Progress";
import { TableTools, type TableFilter } from "./TableTools";
import { clampedPage, keptSelection, NOTHING_SELECTED, PAGE_SIZE, pageCount, rangeLabel, sortDirection, toggled, toggledAll, toggledSort, type Selection, type TableState } from "./tableState";
import "./table.css";

export interface Column<Row> {
  id: string;
  title: string;
  /** `tabIndex` is for what can have the focus in the cell: the rows are one stop of the Tab key, the arrows go on from there. */
  render: (row: Row, tabIndex: number) => ComponentChildren;
  /** Which direction the first click gives; without it the column has no order. */
  sort?: "up" | "down";
  align?: "end";
  /** The page below which the column gives way: 1100 px or 700 px wide. */
  hides?: "medium" | "small";
  /** CSS widths on a wide page, below 1100 px and below 700 px; without one, what is left. */
  width?: string;
  mediumWidth?: string;
  smallWidth?: string;
}

export interface DataTableProps<Row> {
  /** What the table is: "People". */
  label: string;
  nouns: readonly [one: string, many: string];
  columns: readonly Column<Row>[];
  /** The rows of this page, or null as long as nothing is known. */
  rows: readonly Row[] | null;
  /** How many match on all pages. */
  total: number;
  state: TableState;
  onState: (state: TableState) => void;
  idOf: (row: Row) => string;
  nameOf: (row: Row) => string;
  onOpen?: (row: Row) => void;
  menuOf?: (row: Row) => MenuItem[];
  error?: HubError | null;
  onRetry?: () => void;
  filters?: readonly TableFilter[];
  /** What one may search by: "Name, email". Without it there is no search. */
  searchHint?: string;
  /** At the end of the tools: buttons. */
  tools?: ComponentChildren;
  /** Buttons for the chosen rows; without it rows cannot be chosen. */
  bulk?: (ids: readonly string[], clear: () => void) => ComponentChildren;
  /** What stands where rows would be when there are none at all. */
  empty: ComponentChildren;
}

/** A table with search, filters, order, pages and actions on chosen rows. It draws what it is given and says what the person wants. */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { label, nouns, columns, rows, total, state, onState, idOf, onOpen, menuOf, error, onRetry, bulk } = props;
  const [chosen, setChosen] = useState<Selection>(NOTHING_SELECTED);
  const [stop, setStop] = useState(0);
  const body = useRef<HTMLTableSectionElement>(null);
  const order = (rows ?? []).map(idOf);
  const selection = keptSelection(chosen, order);
  const ids = order.filter((id) => selection.ids.has(id));
  const page = clampedPage(state.page, total);
  const current = Math.min(stop, Math.max(0, order.length - 1));
  /** A few rows on another page need no count below them. */
  const isList = props.searchHint !== undefined || props.filters !== undefined || props.bulk !== undefined;
  const isNarrowed = state.search !== "" || Object.keys(state.filters).length > 0;

  useEffect(() => {
    // Rows went while a later page was shown.
    if (rows !== null && page !== state.page) onState({ ...state, page });
  }, [rows, page]);

  useLayoutEffect(() => {
    const box = body.current?.closest("table")?.querySelector<HTMLInputElement>("thead input[type=checkbox]");
    if (box) box.indeterminate = ids.length > 0 && ids.length < order.length;
  });

  const handleKey = (event: KeyboardEvent) => {
    const row = event.target instanceof Element ? event.target.closest("tr") : null;
    const all = [...(body.current?.rows ?? [])];
    const index = row ? all.indexOf(row) : -1;
    if (!row || index < 0) return;
    const to = movedIndex(event.key, index, all.length);
    if (to !== null) {
      event.preventDefault();
      const column = focusables(row).indexOf(event.target as HTMLElement);
      setStop(to);
      if (event.shiftKey && bulk && order[to] !== undefined && !selection.ids.has(order[to])) setChosen(toggled(withAnchor(selection, order[index]), order[to], order, true));
      const stops = all[to] ? focusables(all[to]) : [];
      (stops[Math.min(column, stops.length - 1)] ?? stops[0])?.focus();
    } else if (bulk && event.key === " " && !(event.target instanceof HTMLInputElement) && !(event.target instanceof HTMLButtonElement)) {
      event.preventDefault();
      setChosen(toggled(selection, order[index] ?? "", order, event.shiftKey));
    } else if (bulk && event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      setChosen({ ids: new Set(order), anchor: null });
    } else if (event.key === "Escape" && ids.length > 0) {
      event.stopPropagation();
      setChosen(NOTHING_SELECTED);
    }
  };

  return (
    <div class="data-table-box">
      <TableTools
        label={label}
        state={state}
        onState={onState}
        searchHint={props.searchHint}
        filters={props.filters ?? []}
        tools={props.tools}
        bulk={
          bulk && ids.length > 0 ? (
            <>
              <strong class="bulk-count">{ids.length} selected</strong>
              {bulk(ids, () => setChosen(NOTHING_SELECTED))}
              <Button kind="quiet" onClick={() => setChosen(NOTHING_SELECTED)}>
                Clear
              </Button>
            </>
          ) : null
        }
      />
      {error && (
        <p class="table-error" role="alert">
          <Icon name="warning" size={14} />
          <span>{error.message}</span>
          {onRetry && (
            <button type="button" class="link-button" onClick={onRetry}>
              Try again
            </button>
          )}
        </p>
      )}
      <div class="data-table-scroll">
        <table class="data-table" aria-label={label} aria-busy={rows === null && !error}>
          <thead>
            <tr>
              {bulk && (
                <th scope="col" class="cell-check">
                  <input type="checkbox" aria-label={`Select all ${nouns[1]} shown`} checked={ids.length > 0 && ids.length === order.length} disabled={order.length === 0} onChange={() => setChosen(toggledAll(selection, order))} />
                </th>
              )}
              {columns.map((column) => (
                <HeaderCell key={column.id} column={column} state={state} onState={onState} />
              ))}
              {menuOf && (
                <th scope="col" class="cell-menu">
                  <span class="visually-hidden">Actions</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody ref={body} onKeyDown={handleKey}>
            {rows?.map((row, index) => {
              const id = idOf(row);
              const name = props.nameOf(row);
              const tabIndex = index === current ? 0 : -1;
              const isChosen = selection.ids.has(id);
              return (
                <tr
                  key={id}
                  aria-selected={bulk ? isChosen : undefined}
                  class={`${isChosen ? "row-chosen" : ""} ${onOpen ? "row-opens" : ""}`}
                  onFocusCapture={() => setStop(index)}
                  onClick={(event) => {
                    if (onOpen && event.target instanceof Element && !event.target.closest("a, button, input, label")) onOpen(row);
                  }}
                  onContextMenu={(event) => {
                    const items = menuOf?.(row) ?? [];
                    if (items.length === 0) return;
                    event.preventDefault();
                    openMenu({ x: event.clientX, y: event.clientY }, items, name);
                  }}
                >
                  {bulk && (
                    <td class="cell-check">
                      <input
                        type="checkbox"
                        aria-label={`Select ${name}`}
                        tabIndex={tabIndex}
                        checked={isChosen}
                        onClick={(event) => {
                          setChosen(toggled(selection, id, order, event.shiftKey));
                        }}
                      />
                    </td>
                  )}
                  {columns.map((column) => (
                    <td key={column.id} class={cellClass(column)}>
                      {column.render(row, tabIndex)}
                    </td>
                  ))}
                  {menuOf && (
                    <td class="cell-menu">
                      <RowMenu name={name} items={() => menuOf(row)} tabIndex={tabIndex} />
                    </td>
                  )}
                </tr>
              );
            })}
          </tbody>
        </table>
        {rows === null && !error && <Loading />}
        {rows?.length === 0 && (
          <div class="table-empty">
            {isNarrowed ? (
              <>
                <p>Nothing matches.</p>
                <Button onClick={() => onState({ ...state, search: "", filters: {}, page: 0 })}>Show all {nouns[1]}</Button>
              </>
            ) : (
              props.empty
            )}
          </div>
        )}
      </div>
      <div class="table-foot" hidden={!isList && total <= PAGE_SIZE}>
        <span role="status">{rows === null ? "" : rangeLabel(page, total, nouns[0], nouns[1])}</span>
        {total > PAGE_SIZE && (
          <nav class="pager" aria-label={`Pages of ${label}`}>
            <IconButton icon="chevron-left" label="Previous page" disabled={page === 0} onClick={() => onState({ ...state, page: page - 1 })} />
            <span>
              Page {page + 1} of {pageCount(total)}
            </span>
            <IconButton icon="chevron-right" label="Next page" disabled={page >= pageCount(total) - 1} onClick={() => onState({ ...state, page: page + 1 })} />
          </nav>
        )}
      </div>
    </div>
  );
}

function HeaderCell<Row>({ column, state, onState }: { column: Column<Row>; state: TableState; onState: (state: TableState) => void }) {
  const direction = sortDirection(state, column.id);
  return (
    <th scope="col" class={cellClass(column)} style={widthsOf(column)} aria-sort={column.sort ? direction : undefined}>
      {column.sort ? (
        <button type="button" class="sort-button" onClick={() => onState(toggledSort(state, column.id, column.sort === "down"))}>
          <span>{column.title}</span>
          <span class={`sort-mark sort-${direction}`} aria-hidden="true">
            <Icon name={direction === "descending" ? "arrow-down" : "arrow-up"} size={11} />
          </span>
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

/** The button at a row's end with what can be done to it. */
export function RowMenu({ name, items, tabIndex }: { name: string; items: () => MenuItem[]; tabIndex?: number }) {
  return <IconButton icon="more" label={`Actions for ${name}`} aria-haspopup="menu" tabIndex={tabIndex} onClick={(event) => openMenu(event.currentTarget, items(), name)} />;
}

function widthsOf<Row>({ width = "auto", mediumWidth = width, smallWidth = mediumWidth }: Column<Row>): Record<string, string> {
  return { "--width": width, "--medium-width": mediumWidth, "--small-width": smallWidth };
}

function cellClass<Row>(column: Column<Row>): string {
  return [column.align === "end" ? "cell-end" : "", column.hides ? `cell-hides-${column.hides}` : ""].join(" ").trim();
}

function movedIndex(key: string, index: number, count: number): number | null {
  const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: count - 1 }[key];
  return to === undefined ? null : Math.max(0, Math.min(count - 1, to));
}

function focusables(row: Element): HTMLElement[] {
  return [...row.querySelectorAll<HTMLElement>("a[href], button, input")];
}

function withAnchor(selection: Selection, id: string | undefined): Selection {
  if (id === undefined) return selection;
  return selection.ids.has(id) ? { ...selection, anchor: id } : { ids: new Set([...selection.ids, id]), anchor: id };
}
