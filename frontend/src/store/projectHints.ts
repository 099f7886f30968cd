import type { ReadonlySignal } from "@preact/signals";
import { HubSocket } from "../socket";

export type Hint = { type: "files"; path: string } | { type: "kernels" } | { type: "announcements" } | { type: "me" };

const REFRESH_EVERY_MS = 30_000;

/** The hint in a frame, or null for what this version does not know. */
export function parseHint(data: string | ArrayBuffer): Hint | null {
  if (typeof data !== "string") return null;
  try {
    const hint: unknown = JSON.parse(data);
    if (typeof hint !== "object" || hint === null || !("type" in hint)) return null;
    if (hint.type === "kernels" || hint.type === "announcements" || hint.type === "me") return { type: hint.type };
    if (hint.type === "files" && "path" in hint && typeof hint.path === "string") return { type: "files", path: hint.path };
  } catch {
    // A frame that is no JSON hints at nothing.
  }
  return null;
}

const MOST_WATCHED = 200; // the hub looks into no more folders a socket

export interface HintHandlers {
  onHint: (hint: Hint) => void;
  /** Hints may have been missed: fetch everything that is shown. */
  onMissed: () => void;
  /** The person may not see this project any more. */
  onRefused: (closeCode: number) => void;
}

/** Follows the hints of a project until the returned function is called. `folders` are those that are shown. */
export function followProject(projectId: string, folders: ReadonlySignal<Iterable<string>>, handlers: HintHandlers): () => void {
  let isFirst = true;
  const socket = new HubSocket({
    url: `/ws/projects/${projectId}`,
    onOpen: () => {
      watch(folders.peek());
      if (!isFirst) handlers.onMissed();
      isFirst = false;
    },
    onMessage: (data) => {
      const hint = parseHint(data);
      if (hint) handlers.onHint(hint);
    },
    onClose: (code, final) => {
      if (final) handlers.onRefused(code);
    },
  });
  const watch = (shown: Iterable<string>) => {
    socket.send(JSON.stringify({ type: "watch", folders: ["", ...shown].slice(0, MOST_WATCHED) }));
  };
  const stopWatching = folders.subscribe(watch);
  const refreshIfVisible = () => {
    if (document.visibilityState === "visible") handlers.onMissed();
  };
  const timer = setInterval(refreshIfVisible, REFRESH_EVERY_MS);
  document.addEventListener("visibilitychange", refreshIfVisible);
  return () => {
    stopWatching();
    clearInterval(timer);
    document.removeEventListener("visibilitychange", refreshIfVisible);
    socket.close();
  };
}
