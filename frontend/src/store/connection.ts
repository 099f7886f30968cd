import { signal, type ReadonlySignal } from "@preact/signals";
import { hubUrl } from "../address";
import { onReachability } from "../api/client";

const reachable = signal(navigator.onLine);
/** Whether the hub answers, as far as the last request and the browser know. */
export const isHubReachable: ReadonlySignal<boolean> = reachable;

const CHECK_EVERY_MS = 4_000;

const listeners = new Set<() => void>();

/** Calls `listener` each time the hub is back after it was away. */
export function onHubBack(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Watches requests and the network; asks the hub by itself while it is away. */
export function watchConnection(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const check = () => {
    clearTimeout(timer);
    fetch(hubUrl("/healthz"), { cache: "no-store" })
      .then((answer) => setReachable(answer.ok))
      .catch(() => setReachable(false));
  };
  const setReachable = (now: boolean) => {
    clearTimeout(timer);
    if (!now) timer = setTimeout(check, CHECK_EVERY_MS);
    if (now === reachable.peek()) return;
    reachable.value = now;
    if (now) for (const listener of listeners) listener();
  };
  onReachability(setReachable);
  addEventListener("online", check);
  addEventListener("offline", () => setReachable(false));
  if (!reachable.peek()) check();
}
