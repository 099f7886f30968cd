const FOCUSABLE =
  "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), [tabindex]:not([tabindex='-1'])";

/** What Tab would visit inside `root`, in order. */
export function focusableIn(root: Element): HTMLElement[] {
  return [...root.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((element) => !element.closest("[inert], [hidden]"));
}

/** Keeps Tab inside `root`: from the last element to the first and back. */
export function trapTab(event: KeyboardEvent, root: Element): void {
  if (event.key !== "Tab") return;
  const stops = focusableIn(root);
  const first = stops[0];
  const last = stops.at(-1);
  if (!first || !last) {
    event.preventDefault();
    return;
  }
  const active = document.activeElement;
  const isOutside = !root.contains(active);
  if (event.shiftKey && (active === first || isOutside)) {
    event.preventDefault();
    last.focus();
  } else if (!event.shiftKey && (active === last || isOutside)) {
    event.preventDefault();
    first.focus();
  }
}

/** Remembers what has the focus; the returned function gives it back if it still is on the page. */
export function rememberFocus(): () => void {
  const before = document.activeElement;
  return () => {
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  };
}

/** Moves a roving focus: the next index for an arrow key, Home or End, or null for other keys. */
export function rovedIndex(key: string, index: number, count: number, axis: "vertical" | "horizontal"): number | null {
  if (count === 0) return null;
  const [back, forth] = axis === "vertical" ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
  switch (key) {
    case forth:
      return (index + 1) % count;
    case back:
      return index <= 0 ? count - 1 : index - 1;
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}
