import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./Icon";
import { stepInTree, visibleRange, type TreeRow } from "./treeRows";
import "./tree.css";

export interface TreeProps<T> {
  rows: readonly TreeRow<T>[];
  selected: string | null;
  label: string;
  renderRow: (row: TreeRow<T>) => ComponentChildren;
  onSelect: (id: string) => void;
  /** Enter or a click. */
  onOpen: (row: TreeRow<T>) => void;
  onToggle: (id: string, open: boolean) => void;
  onContextMenu?: (row: TreeRow<T>, place: { x: number; y: number }) => void;
  /** Any key the tree itself does not use. */
  onKey?: (event: KeyboardEvent, row: TreeRow<T>) => void;
  /** Makes rows draggable; gives what is written on the transfer. */
  onDragStart?: (row: TreeRow<T>, event: DragEvent) => void;
  /** Whether something may be dropped on the row; the row is then marked. */
  canDrop?: (row: TreeRow<T>, event: DragEvent) => boolean;
  onDrop?: (row: TreeRow<T>, event: DragEvent) => void;
}

const ROW_HEIGHT_PX = 26;
const COARSE_ROW_HEIGHT_PX = 40;

/** A tree for pointer, keyboard and screen reader; draws only the rows one can see. */
export function Tree<T>(props: TreeProps<T>) {
  const { rows, selected, label, renderRow, onSelect, onOpen, onToggle, onContextMenu, onKey } = props;
  const box = useRef<HTMLDivElement>(null);
  const [viewport, setViewport] = useState({ top: 0, height: 800 });
  const [dropTarget, setDropTarget] = useState<string | null>(null);
  const rowHeight = matchMedia("(pointer: coarse)").matches ? COARSE_ROW_HEIGHT_PX : ROW_HEIGHT_PX;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => setViewport({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const selectedIndex = rows.findIndex((row) => row.id === selected);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || selectedIndex < 0) return;
    const top = selectedIndex * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight - element.clientHeight;
  }, [selected]);

  const focusRow = (id: string) => {
    onSelect(id);
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"]`)?.focus());
  };

  const handleKey = (event: KeyboardEvent) => {
    if (!(event.target instanceof HTMLElement) || event.target.getAttribute("role") !== "treeitem") return;
    const row = rows[selectedIndex];
    if (!row) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      onOpen(row);
    } else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
      event.preventDefault();
      const place = event.target.getBoundingClientRect();
      onContextMenu?.(row, { x: place.left + 24, y: place.bottom });
    } else {
      const step = event.ctrlKey || event.metaKey || event.altKey ? null : stepInTree(rows, selectedIndex, event.key);
      if (step === null) onKey?.(event, row);
      else {
        event.preventDefault();
        if (step.kind === "focus") focusRow(step.id);
        else onToggle(row.id, step.kind === "open");
      }
    }
  };

  const { first, last } = visibleRange(rows.length, rowHeight, viewport.top, viewport.height);
  const tabStop = selectedIndex >= 0 ? selected : rows[0]?.id;

  return (
    <div ref={box} class="tree" role="tree" aria-label={label} onKeyDown={handleKey} onScroll={(event) => setViewport({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })}>
      <div class="tree-canvas" role="presentation" style={{ height: `${String(rows.length * rowHeight)}px`, "--tree-row": `${String(rowHeight)}px` }}>
        {rows.slice(first, last).map((row, offset) => (
          <div
            key={row.id}
            data-row={row.id}
            role="treeitem"
            aria-level={row.depth + 1}
            aria-setsize={row.siblingCount}
            aria-posinset={row.siblingIndex + 1}
            aria-expanded={row.isBranch ? row.isOpen : undefined}
            aria-selected={row.id === selected}
            tabIndex={row.id === tabStop ? 0 : -1}
            class={`tree-row ${row.id === dropTarget ? "tree-row-drop" : ""}`}
            style={{ top: `${String((first + offset) * rowHeight)}px`, paddingLeft: `${String(6 + row.depth * 14)}px` }}
            draggable={props.onDragStart !== undefined}
            onDragStart={(event) => props.onDragStart?.(row, event)}
            onDragOver={(event) => {
              const isAllowed = props.canDrop?.(row, event) ?? false;
              if (isAllowed) {
                event.preventDefault();
                event.stopPropagation();
              }
              setDropTarget(isAllowed ? row.id : null);
            }}
            onDragLeave={() => setDropTarget(null)}
            onDragEnd={() => setDropTarget(null)}
            onDrop={(event) => {
              setDropTarget(null);
              if (!props.canDrop?.(row, event)) return;
              event.preventDefault();
              event.stopPropagation();
              props.onDrop?.(row, event);
            }}
            onFocus={() => {
              if (row.id !== selected) onSelect(row.id);
            }}
            onClick={() => {
              onSelect(row.id);
              onOpen(row);
            }}
            onContextMenu={(event) => {
              if (!onContextMenu) return;
              event.preventDefault();
              onSelect(row.id);
              onContextMenu(row, { x: event.clientX, y: event.clientY });
            }}
          >
            <span class="tree-twist" aria-hidden="true">
              {row.isBranch && <Icon name={row.isOpen ? "chevron-down" : "chevron-right"} size={14} />}
            </span>
            {renderRow(row)}
          </div>
        ))}
      </div>
    </div>
  );
}
