import { useState } from "preact/hooks";

import type { Json } from "../../store/outputLog";

const OPEN_DEPTH = 1;
const PAGE = 100;

/** JSON as a tree whose branches open; large lists show a hundred items at a time. */
export function JsonTree({ value }: { value: Json }) {
  return (
    <div class="out-json" role="tree" aria-label="JSON">
      <Node name={null} value={value} depth={0} />
    </div>
  );
}

function Node({ name, value, depth }: { name: string | null; value: Json; depth: number }) {
  const [isOpen, setIsOpen] = useState(depth < OPEN_DEPTH);
  const [shown, setShown] = useState(PAGE);
  const label = name === null ? null : <span class="out-json-key">{name}: </span>;
  if (value === null || typeof value !== "object") {
    return (
      <div class="out-json-leaf" role="treeitem">
        {label}
        <span class={`out-json-${value === null ? "null" : typeof value}`}>{JSON.stringify(value)}</span>
      </div>
    );
  }
  const isList = Array.isArray(value);
  const entries: [string, Json][] = isList ? value.slice(0, shown).map((item, at) => [String(at), item]) : Object.entries(value).slice(0, shown);
  const count = isList ? value.length : Object.keys(value).length;
  const summary = isList ? `[${String(count)}]` : `{${String(count)}}`;
  if (count === 0) {
    return (
      <div class="out-json-leaf" role="treeitem">
        {label}
        {isList ? "[]" : "{}"}
      </div>
    );
  }
  return (
    <div role="treeitem" aria-expanded={isOpen}>
      <button type="button" class="out-json-toggle" aria-expanded={isOpen} onClick={() => { setIsOpen(!isOpen); }}>
        <span aria-hidden="true">{isOpen ? "▾" : "▸"}</span> {label}
        <span class="out-json-count">{summary}</span>
      </button>
      {isOpen && (
        <div class="out-json-children" role="group">
          {entries.map(([key, item]) => (
            <Node key={key} name={key} value={item} depth={depth + 1} />
          ))}
          {count > shown && (
            <button type="button" class="out-link" onClick={() => { setShown(shown + PAGE * 10); }}>
              {String(count - shown)} more
            </button>
          )}
        </div>
      )}
    </div>
  );
}
