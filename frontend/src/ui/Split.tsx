import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import "./split.css";

export interface SplitProps {
  /** The resizable part, at the left. */
  side: ComponentChildren;
  children: ComponentChildren;
  /** Width of the side in px. */
  width: number;
  minWidth?: number;
  maxWidth?: number;
  /** What a double click on the divider goes back to. */
  initialWidth: number;
  label: string;
  onResize: (width: number) => void;
}

const KEY_STEP_PX = 16;

/** Two parts with a divider that the pointer and the arrow keys move. */
export function Split({ side, children, width, minWidth = 180, maxWidth = 560, initialWidth, label, onResize }: SplitProps) {
  const start = useRef<{ x: number; width: number } | null>(null);
  const clamp = (wanted: number) => Math.round(Math.max(minWidth, Math.min(maxWidth, wanted)));

  const handleKey = (event: KeyboardEvent) => {
    const wanted = { ArrowLeft: width - KEY_STEP_PX, ArrowRight: width + KEY_STEP_PX, Home: minWidth, End: maxWidth, Enter: initialWidth }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    onResize(clamp(wanted));
  };

  return (
    <div class="split" style={{ "--side-width": `${String(clamp(width))}px` }}>
      <div class="split-side">{side}</div>
      <div
        class="split-divider"
        role="separator"
        aria-orientation="vertical"
        aria-label={label}
        aria-valuenow={clamp(width)}
        aria-valuemin={minWidth}
        aria-valuemax={maxWidth}
        tabIndex={0}
        onKeyDown={handleKey}
        onDblClick={() => onResize(initialWidth)}
        onPointerDown={(event) => {
          event.preventDefault();
          event.currentTarget.setPointerCapture(event.pointerId);
          start.current = { x: event.clientX, width };
        }}
        onPointerMove={(event) => {
          if (start.current) onResize(clamp(start.current.width + event.clientX - start.current.x));
        }}
        onPointerUp={() => (start.current = null)}
        onPointerCancel={() => (start.current = null)}
      />
      <div class="split-main">{children}</div>
    </div>
  );
}
