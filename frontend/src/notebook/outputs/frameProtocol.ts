/** What the app and the sandboxed output page say to each other over their one MessagePort. Shared with `frontend/frame`. */

export type FrameScheme = "light" | "dark";

export interface FrameTheme {
  scheme: FrameScheme;
  foreground: string;
  font: string;
  monoFont: string;
}

export type ToFrame =
  | { type: "render"; kind: "html" | "javascript"; text: string; theme: FrameTheme }
  | { type: "theme"; theme: FrameTheme };

export type FromFrame =
  | { type: "resize"; height: number }
  | { type: "error"; message: string }
  | { type: "open-link"; url: string };

/** The message with which the app hands the port over; the only one that goes through `window.postMessage`. */
export const CONNECT = "zasper-output-frame";

const MAX_HEIGHT = 1_000_000;
const MAX_MESSAGE_CHARS = 2_000;
const MAX_URL_CHARS = 8_192;

/** What came out of a frame, checked; null when it is none of the messages. */
export function parseFromFrame(data: unknown): FromFrame | null {
  if (data === null || typeof data !== "object") return null;
  const message = data as Record<string, unknown>;
  switch (message.type) {
    case "resize":
      return typeof message.height === "number" && message.height >= 0 && message.height <= MAX_HEIGHT ? { type: "resize", height: Math.ceil(message.height) } : null;
    case "error":
      return typeof message.message === "string" ? { type: "error", message: message.message.slice(0, MAX_MESSAGE_CHARS) } : null;
    case "open-link":
      return typeof message.url === "string" && message.url.length <= MAX_URL_CHARS ? { type: "open-link", url: message.url } : null;
    default:
      return null;
  }
}

/** The address of a link that may be opened in a new tab; null for anything but web and mail. */
export function safeLink(url: string): string | null {
  try {
    const parsed = new URL(url);
    return ["http:", "https:", "mailto:"].includes(parsed.protocol) ? parsed.href : null;
  } catch {
    return null;
  }
}
