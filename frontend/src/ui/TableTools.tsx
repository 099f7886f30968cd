import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { registerCommands } from "../store/commands";
import { Icon } from "./Icon";
import { withFilter, withSearch, type TableState } from "./tableState";

export interface TableFilter {
  id: string;
  /** "State" */
  label: string;
  options: readonly { value: string; title: string }[];
  /** What no choice is called: "Any state". */
  any: string;
}

const SEARCH_AFTER_MS = 200;

/** The line above a table: search and filters, or what can be done to the chosen rows; always as high. */
export function TableTools({
  label,
  state,
  onState,
  searchHint,
  filters,
  tools,
  bulk,
}: {
  label: string;
  state: TableState;
  onState: (state: TableState) => void;
  searchHint: string | undefined;
  filters: readonly TableFilter[];
  tools: ComponentChildren;
  bulk: ComponentChildren;
}) {
  if (bulk) {
    return (
      <div class="table-tools table-tools-bulk" role="toolbar" aria-label={`Selected ${label.toLowerCase()}`}>
        {bulk}
      </div>
    );
  }
  if (!searchHint && filters.length === 0 && !tools) return null;
  return (
    <div class="table-tools">
      {searchHint && <Search label={label} hint={searchHint} state={state} onState={onState} />}
      {filters.map((filter) => (
        <select key={filter.id} class="input table-filter" aria-label={filter.label} value={state.filters[filter.id] ?? ""} onChange={(event) => onState(withFilter(state, filter.id, event.currentTarget.value))}>
          <option value="">{filter.any}</option>
          {filter.options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.title}
            </option>
          ))}
        </select>
      ))}
      <span class="tool-space" />
      {tools}
    </div>
  );
}

function Search({ label, hint, state, onState }: { label: string; hint: string; state: TableState; onState: (state: TableState) => void }) {
  const [text, setText] = useState(state.search);
  const input = useRef<HTMLInputElement>(null);
  const wanted = useRef({ state, onState });
  wanted.current = { state, onState };

  useEffect(() => setText(state.search), [state.search]);
  useEffect(() => {
    if (text === state.search) return;
    const timer = setTimeout(() => wanted.current.onState(withSearch(wanted.current.state, text)), SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(
    () => registerCommands([{ id: "table.search", title: `Search ${label.toLowerCase()}`, group: "Lists", keys: ["/"], run: () => input.current?.focus() }]),
    [label],
  );

  return (
    <label class="table-search">
      <Icon name="search" size={14} />
      <span class="visually-hidden">Search {label.toLowerCase()}</span>
      <input
        ref={input}
        class="input"
        type="search"
        placeholder={hint}
        maxLength={200}
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && text !== "") {
            event.stopPropagation();
            setText("");
          }
        }}
      />
    </label>
  );
}
