import { signal } from "@preact/signals";
import { messageOf } from "../api/errors";
import { IconButton } from "./Button";
import { Icon } from "./Icon";
import "./toast.css";

export interface ToastOptions {
  text: string;
  kind?: "info" | "ok" | "error";
  action?: { label: string; run: () => void | Promise<void> };
  /** How long it stays; Infinity until it is closed. Default: 5 s, 10 s with an action or an error. */
  durationMs?: number;
}

interface Shown extends ToastOptions {
  id: number;
}

const MOST_AT_ONCE = 4;
const shown = signal<readonly Shown[]>([]);
const timers = new Map<number, ReturnType<typeof setTimeout>>();
let lastId = 0;

/** Says something at the edge of the page. Returns the function that takes it away. */
export function toast(options: ToastOptions): () => void {
  const id = ++lastId;
  const dismiss = () => {
    clearTimeout(timers.get(id));
    timers.delete(id);
    shown.value = shown.value.filter((entry) => entry.id !== id);
  };
  shown.value = [...shown.value.filter((entry) => entry.text !== options.text), { ...options, id }].slice(-MOST_AT_ONCE);
  const durationMs = options.durationMs ?? (options.action || options.kind === "error" ? 10_000 : 5_000);
  if (Number.isFinite(durationMs)) timers.set(id, setTimeout(dismiss, durationMs));
  return dismiss;
}

/** Tells of an error in a person's words. */
export function toastError(error: unknown): void {
  toast({ kind: "error", text: messageOf(error) });
}

export function Toasts() {
  return (
    <div class="toasts" role="region" aria-label="Notices" aria-live="polite">
      {shown.value.map((entry) => {
        const dismiss = () => (shown.value = shown.value.filter((other) => other.id !== entry.id));
        const kind = entry.kind ?? "info";
        return (
          <div key={entry.id} class={`toast toast-${kind}`} role={kind === "error" ? "alert" : "status"}>
            <Icon name={kind === "ok" ? "check" : kind} />
            <p>{entry.text}</p>
            {entry.action && (
              <button
                type="button"
                class="toast-action"
                onClick={() => {
                  dismiss();
                  void entry.action?.run();
                }}
              >
                {entry.action.label}
              </button>
            )}
            <IconButton icon="close" label="Dismiss" onClick={dismiss} size={14} />
          </div>
        );
      })}
    </div>
  );
}
