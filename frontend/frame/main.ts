/**
 * The sandboxed output page. It has no origin, no storage and no network (its Content-Security-Policy and the `sandbox` of
 * the frame see to that), and speaks to the app over one MessagePort. The output's code runs in this same page: whatever
 * it does with the port, the app understands three messages and checks each of them.
 */

import { CONNECT, type FrameTheme, type FromFrame, safeLink, type ToFrame } from "../src/notebook/outputs/frameProtocol";
import { drawHtml, runJavascript } from "./draw";

const MAX_ERRORS = 3; // an output that fails in a loop is told about only so often

let port: MessagePort | null = null;
let errorCount = 0;
let lastHeight = -1;

const root = document.createElement("div");
root.id = "output";

function send(message: FromFrame): void {
  port?.postMessage(message);
}

function report(message: string): void {
  errorCount += 1;
  if (errorCount <= MAX_ERRORS) send({ type: "error", message });
}

function applyTheme(theme: FrameTheme): void {
  const element = document.documentElement;
  element.dataset.theme = theme.scheme;
  // Other libraries look for these.
  element.setAttribute("theme", theme.scheme);
  document.body.dataset.jpThemeLight = String(theme.scheme === "light");
  element.style.setProperty("--hub-foreground", theme.foreground);
  element.style.setProperty("--hub-font", theme.font);
  element.style.setProperty("--hub-mono-font", theme.monoFont);
}

function tellHeight(): void {
  const { scrollWidth, clientWidth } = document.documentElement;
  const scrollbar = scrollWidth > clientWidth ? 16 : 0;
  const height = Math.ceil(Math.max(root.offsetHeight, root.scrollHeight)) + scrollbar;
  if (height === lastHeight) return;
  lastHeight = height;
  send({ type: "resize", height });
}

async function render(message: Extract<ToFrame, { type: "render" }>): Promise<void> {
  errorCount = 0;
  applyTheme(message.theme);
  root.replaceChildren();
  try {
    if (message.kind === "html") await drawHtml(root, message.text);
    else runJavascript(root, message.text);
  } catch (error) {
    report(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }
  tellHeight();
}

function receive(message: ToFrame): void {
  if (message.type === "render") void render(message);
  else applyTheme(message.theme);
}

function openLink(url: string | URL | undefined): null {
  const address = safeLink(String(url ?? ""));
  if (address !== null) send({ type: "open-link", url: address });
  return null;
}

function onClick(event: MouseEvent): void {
  const link = event.composedPath().find((target): target is HTMLAnchorElement => target instanceof HTMLAnchorElement && target.hasAttribute("href"));
  const address = link?.getAttribute("href") ?? "";
  if (!link || address.startsWith("#") || event.defaultPrevented) return;
  event.preventDefault();
  openLink(address);
}

// The theme of the first frame that is painted, before the port is there.
if (location.hash === "#dark" || location.hash === "#light") document.documentElement.dataset.theme = location.hash.slice(1);
document.body.append(root);
new ResizeObserver(tellHeight).observe(root);
document.addEventListener("click", onClick);
document.addEventListener("auxclick", onClick);
window.open = openLink;
window.addEventListener("error", (event) => { report(event.message); });
window.addEventListener("unhandledrejection", (event) => { report(String(event.reason)); });
document.addEventListener("securitypolicyviolation", (event) => {
  report(`it wants to load ${event.blockedURI}, and outputs have no network. Use a library that puts its code into the output.`);
});
window.addEventListener("message", function connect(event) {
  const given = event.ports[0];
  if (event.source !== window.parent || event.data !== CONNECT || !given) return;
  window.removeEventListener("message", connect);
  port = given;
  given.onmessage = (message: MessageEvent<ToFrame>) => { receive(message.data); };
});
