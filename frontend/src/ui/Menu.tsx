import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./Icon";
import { rememberFocus, rovedIndex } from "./focus";
import { showLayer } from "./layers";
import "./menu.css";

export interface MenuAction {
  label: string;
  icon?: IconName;
  /** Shown at the right, as `keysLabel` writes it. */
  keys?: string;
  danger?: boolean;
  disabled?: boolean;
  /** Marks the chosen one of several. */
  checked?: boolean;
  run: () => void | Promise<void>;
}
export type MenuItem = MenuAction | "separator";

export interface Point {
  x: number;
  y: number;
}

const MARGIN_PX = 6;

let closeOpenMenu: (() => void) | null = null;

/** Opens a menu below an element or at a point; it closes by choice, Escape, Tab or a click elsewhere. */
export function openMenu(anchor: Element | Point, items: readonly MenuItem[], label = "Menu"): void {
  closeOpenMenu?.();
  const giveBack = rememberFocus();
  if (anchor instanceof Element) anchor.setAttribute("aria-expanded", "true");
  const close = (returnsFocus: boolean) => {
    closeOpenMenu = null;
    if (anchor instanceof Element) anchor.setAttribute("aria-expanded", "false");
    hide();
    if (returnsFocus) giveBack();
  };
  const hide = showLayer(<Menu anchor={anchor} items={items} label={label} onClose={close} />);
  closeOpenMenu = () => close(false);
}

function Menu({ anchor, items, label, onClose }: { anchor: Element | Point; items: readonly MenuItem[]; label: string; onClose: (returnsFocus: boolean) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<Point | null>(null);

  useLayoutEffect(() => {
    const element = list.current;
    if (!element) return;
    setPlace(placeFor(anchor, element.offsetWidth, element.offsetHeight, innerWidth, innerHeight));
    // A hidden element takes no focus; wait until it is placed.
    requestAnimationFrame(() => entries()[0]?.focus());
    const leave = (event: Event) => {
      if (event.target instanceof Node && element.contains(event.target)) return;
      onClose(false);
    };
    addEventListener("pointerdown", leave, true);
    addEventListener("blur", leave);
    addEventListener("resize", leave);
    return () => {
      removeEventListener("pointerdown", leave, true);
      removeEventListener("blur", leave);
      removeEventListener("resize", leave);
    };
  }, []);

  const entries = () => [...(list.current?.querySelectorAll<HTMLElement>("[role^=menuitem]:not(:disabled)") ?? [])];

  const handleKey = (event: KeyboardEvent) => {
    event.stopPropagation();
    const all = entries();
    const index = all.indexOf(document.activeElement as HTMLElement);
    const next = rovedIndex(event.key, index, all.length, "vertical");
    if (next !== null) {
      event.preventDefault();
      all[next]?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      onClose(true);
    } else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey) {
      const letter = event.key.toLowerCase();
      const turned = [...all.slice(index + 1), ...all.slice(0, index + 1)];
      turned.find((entry) => entry.textContent.trim().toLowerCase().startsWith(letter))?.focus();
    }
  };

  return (
    <div
      ref={list}
      class="menu"
      role="menu"
      aria-label={label}
      style={place ? { left: `${String(place.x)}px`, top: `${String(place.y)}px` } : { visibility: "hidden" }}
      onKeyDown={handleKey}
      onContextMenu={(event) => event.preventDefault()}
    >
      {items.map((item, index) =>
        item === "separator" ? (
          <div key={index} class="menu-separator" role="separator" />
        ) : (
          <button
            key={index}
            type="button"
            role={item.checked === undefined ? "menuitem" : "menuitemradio"}
            aria-checked={item.checked}
            tabIndex={-1}
            class={`menu-item ${item.danger ? "menu-item-danger" : ""}`}
            disabled={item.disabled}
            onPointerMove={(event) => event.currentTarget.focus({ preventScroll: true })}
            onClick={() => {
              onClose(true);
              void item.run();
            }}
          >
            <span class="menu-icon">{item.checked ? <Icon name="check" size={14} /> : item.icon && <Icon name={item.icon} size={14} />}</span>
            <span class="menu-label">{item.label}</span>
            {item.keys && <span class="menu-keys">{item.keys}</span>}
          </button>
        ),
      )}
    </div>
  );
}

/** Where a menu of that size goes: below its anchor, or above it when there is no room; always on the page. */
export function placeFor(anchor: Element | Point, width: number, height: number, pageWidth: number, pageHeight: number): Point {
  const box = anchor instanceof Element ? anchor.getBoundingClientRect() : { left: anchor.x, top: anchor.y, bottom: anchor.y };
  const gap = anchor instanceof Element ? 4 : 0;
  const fitsBelow = box.bottom + gap + height <= pageHeight - MARGIN_PX;
  const top = fitsBelow ? box.bottom + gap : box.top - gap - height;
  return {
    x: Math.max(MARGIN_PX, Math.min(box.left, pageWidth - width - MARGIN_PX)),
    y: Math.max(MARGIN_PX, Math.min(top, pageHeight - height - MARGIN_PX)),
  };
}
