/** HTML and JavaScript of a kernel, in a page of no origin: it reaches neither the app nor the network. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { CONNECT, type FrameScheme, type FrameTheme, parseFromFrame, safeLink, type ToFrame } from "./frameProtocol";
import { memo } from "./memo";

const MAX_HEIGHT_PX = 1200; // higher outputs scroll inside
const FIRST_HEIGHT_PX = 40;
const REMEMBERED = 500;
/** A page that grows with its own frame would never end. */
const MAX_RESIZES_PER_S = 20;

/** Heights of frames as they were last, by output, so that a frame that comes back takes its room at once. */
const heights = new Map<string, number>();

function rememberHeight(key: string, height: number): void {
  heights.delete(key);
  heights.set(key, height);
  if (heights.size > REMEMBERED) heights.delete(heights.keys().next().value ?? "");
}

/** Address of the output page; the server names it with the hash of its build. */
export function frameUrl(): string {
  return document.documentElement.dataset.frameUrl ?? "/frame/index.html";
}

function currentScheme(): FrameScheme {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "dark" || chosen === "light") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function currentTheme(element: Element): FrameTheme {
  const style = getComputedStyle(element);
  return {
    scheme: currentScheme(),
    foreground: style.color,
    font: style.getPropertyValue("--font-ui") || style.fontFamily,
    monoFont: style.getPropertyValue("--font-mono") || "monospace",
  };
}

interface FrameOutputProps {
  kind: "html" | "javascript";
  text: string;
  /** Names the output, for its remembered height. */
  name: string;
}

export const FrameOutput = memo(function FrameOutput({ kind, text, name }: FrameOutputProps) {
  const frame = useRef<HTMLIFrameElement>(null);
  const port = useRef<MessagePort | null>(null);
  const [height, setHeight] = useState(heights.get(name) ?? FIRST_HEIGHT_PX);
  const [problem, setProblem] = useState<string | null>(null);
  // The scheme is known before the port is: no white flash in the dark.
  const address = useMemo(() => `${frameUrl()}#${currentScheme()}`, []);
  const resize = useMemo(
    () =>
      limitResizes((found) => {
        rememberHeight(name, found);
        setHeight(found);
      }),
    [name],
  );
  const send = (message: ToFrame): void => port.current?.postMessage(message);

  const onLoad = (): void => {
    const element = frame.current;
    // Only the page that was asked for gets the port: what an output navigates to gets nothing.
    if (!element || port.current) return;
    const channel = new MessageChannel();
    port.current = channel.port1;
    channel.port1.onmessage = (event) => {
      const message = parseFromFrame(event.data);
      if (message?.type === "resize") resize(Math.min(message.height, MAX_HEIGHT_PX));
      else if (message?.type === "error") setProblem(message.message);
      else if (message?.type === "open-link") openLink(element, message.url);
    };
    // A page without an origin can only be addressed by "*".
    element.contentWindow?.postMessage(CONNECT, "*", [channel.port2]);
    send({ type: "render", kind, text, theme: currentTheme(element) });
  };

  useEffect(() => {
    const onTheme = (): void => {
      if (frame.current) send({ type: "theme", theme: currentTheme(frame.current) });
    };
    const media = matchMedia("(prefers-color-scheme: dark)");
    const observer = new MutationObserver(onTheme);
    media.addEventListener("change", onTheme);
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      media.removeEventListener("change", onTheme);
      observer.disconnect();
      port.current?.close();
    };
  }, []);

  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    setProblem(null);
    if (frame.current) send({ type: "render", kind, text, theme: currentTheme(frame.current) });
  }, [kind, text]);

  return (
    <div class="out-frame">
      <iframe
        ref={frame}
        title="Interactive output"
        sandbox="allow-scripts"
        referrerpolicy="no-referrer"
        src={address}
        style={{ height: `${String(height)}px` }}
        onLoad={onLoad}
      />
      {problem !== null && <div class="out-notice">This output reports: {problem}</div>}
    </div>
  );
});

/** Only a click into the frame opens anything: it has the focus then, and the browser knows of the click. */
function openLink(frame: HTMLIFrameElement, url: string): void {
  const address = safeLink(url);
  const isClicked = navigator.userActivation.isActive && document.activeElement === frame;
  if (address !== null && isClicked) window.open(address, "_blank", "noopener,noreferrer");
}

function limitResizes(apply: (height: number) => void): (height: number) => void {
  let count = 0;
  let since = 0;
  return (height) => {
    const now = performance.now();
    if (now - since > 1000) [since, count] = [now, 0];
    count += 1;
    if (count <= MAX_RESIZES_PER_S) apply(height);
  };
}
