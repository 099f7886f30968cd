import { useEffect, useRef } from "preact/hooks";
import { IconButton } from "./Button";
import { Icon, type IconName } from "./Icon";
import { rovedIndex } from "./focus";
import "./tabs.css";

export interface TabItem {
  id: string;
  title: string;
  /** Tells tabs of the same title apart, shown fainter. */
  hint?: string;
  icon?: IconName;
  /** Has unsaved work. */
  unsaved?: boolean;
  /** Something runs in it. */
  busy?: boolean;
}

export interface TabsProps {
  items: readonly TabItem[];
  active: string | null;
  label: string;
  onSelect: (id: string) => void;
  onClose?: (id: string) => void;
  onContextMenu?: (id: string, event: MouseEvent) => void;
  onReorder?: (id: string, beforeId: string | null) => void;
}

/** The id of the tab that labels a panel; `panelId` is what the tab controls. */
export const tabId = (id: string) => `tab-${id}`;
export const panelId = (id: string) => `panel-${id}`;

export function Tabs({ items, active, label, onSelect, onClose, onContextMenu, onReorder }: TabsProps) {
  const bar = useRef<HTMLDivElement>(null);
  const dragged = useRef<string | null>(null);

  useEffect(() => {
    bar.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [active]);

  const handleKey = (event: KeyboardEvent) => {
    const index = items.findIndex((item) => item.id === active);
    const next = rovedIndex(event.key, index, items.length, "horizontal");
    const item = next === null ? undefined : items[next];
    if (item) {
      event.preventDefault();
      onSelect(item.id);
      bar.current?.querySelectorAll<HTMLElement>("[role=tab]")[next ?? 0]?.focus();
    } else if (event.key === "Delete" && active !== null) {
      event.preventDefault();
      onClose?.(active);
    }
  };

  return (
    <div ref={bar} class="tabs" role="tablist" aria-label={label} onKeyDown={handleKey}>
      {items.map((item) => {
        const isActive = item.id === active;
        return (
          <div
            key={item.id}
            class={`tab ${isActive ? "tab-active" : ""} ${item.unsaved ? "tab-unsaved" : ""}`}
            role="presentation"
            draggable={onReorder !== undefined}
            onDragStart={() => (dragged.current = item.id)}
            onDragEnd={() => (dragged.current = null)}
            onDragOver={(event) => {
              if (dragged.current !== null) event.preventDefault();
            }}
            onDrop={(event) => {
              if (dragged.current === null || dragged.current === item.id) return;
              event.preventDefault();
              const box = event.currentTarget.getBoundingClientRect();
              const isAfter = event.clientX > box.left + box.width / 2;
              const next = items[items.indexOf(item) + 1];
              onReorder?.(dragged.current, isAfter ? (next?.id ?? null) : item.id);
            }}
            onMouseDown={(event) => {
              if (event.button === 1) event.preventDefault();
            }}
            onAuxClick={(event) => {
              if (event.button === 1) onClose?.(item.id);
            }}
            onContextMenu={(event) => {
              if (!onContextMenu) return;
              event.preventDefault();
              onContextMenu(item.id, event);
            }}
          >
            <button
              type="button"
              role="tab"
              id={tabId(item.id)}
              aria-controls={panelId(item.id)}
              aria-selected={isActive}
              tabIndex={isActive ? 0 : -1}
              class="tab-button"
              title={item.id}
              onClick={() => onSelect(item.id)}
            >
              {item.icon && <Icon name={item.icon} size={14} />}
              <span class="truncate">{item.title}</span>
              {item.hint && <span class="tab-hint truncate">{item.hint}</span>}
              {item.busy && <span class="tab-busy" title="Running" />}
              {item.unsaved && <span class="visually-hidden">, unsaved</span>}
            </button>
            {onClose && (
              // A tab list may hold nothing but tabs. Without a pointer, the Delete key and the command close a tab.
              <span class="tab-end" aria-hidden="true">
                <span class="tab-dot" />
                <IconButton icon="close" label={`Close ${item.title}`} size={14} tabIndex={-1} onClick={() => onClose(item.id)} />
              </span>
            )}
          </div>
        );
      })}
    </div>
  );
}
