import { FitAddon } from "@xterm/addon-fit";
import { Terminal, type ITheme } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { IS_MAC } from "../../store/keymap";

const SCROLLBACK_LINES = 10_000;
const ANSI = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;

export interface TerminalScreen {
  readonly terminal: Terminal;
  /** Takes the size of its place. Nothing while it is not shown. */
  fit: () => void;
  dispose: () => void;
}

/** A terminal emulator in `place`, with the page's colours, now and when they change. */
export function openScreen(place: HTMLElement, label: string, onLeave: () => void): TerminalScreen {
  const terminal = new Terminal({
    allowProposedApi: false,
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: getComputedStyle(place).getPropertyValue("--font-mono") || "monospace",
    fontSize: 13,
    // Whatever colours a program mixes stay readable.
    minimumContrastRatio: 4.5,
    scrollback: SCROLLBACK_LINES,
    theme: themeOf(place),
  });
  const fitting = new FitAddon();
  terminal.loadAddon(fitting);
  terminal.open(place);
  terminal.textarea?.setAttribute("aria-label", label);
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.type !== "keydown") return true;
    if (event.key === "Escape" && event.shiftKey) {
      event.preventDefault();
      onLeave();
      return false;
    }
    // As people have it everywhere else; Ctrl-C without a selection interrupts.
    const isCopy = event.key.toLowerCase() === "c" && terminal.hasSelection() && (IS_MAC ? event.metaKey : event.ctrlKey);
    const isPaste = event.key.toLowerCase() === "v" && (IS_MAC ? event.metaKey : event.ctrlKey) && !event.altKey;
    return !isCopy && !isPaste;
  });
  const recolour = () => (terminal.options.theme = themeOf(place));
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", recolour);
  const watcher = new MutationObserver(recolour);
  watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return {
    terminal,
    fit: () => {
      if (place.clientWidth > 0 && place.clientHeight > 0) fitting.fit();
    },
    dispose: () => {
      scheme.removeEventListener("change", recolour);
      watcher.disconnect();
      terminal.dispose();
    },
  };
}

/** The page's colours as the emulator needs them: resolved for the theme of the moment. */
function themeOf(place: HTMLElement): ITheme {
  const probe = document.createElement("span");
  place.append(probe);
  const colour = (name: string) => {
    probe.style.color = `var(${name})`;
    return asHex(getComputedStyle(probe).color);
  };
  const theme: Record<string, string | undefined> = {
    background: colour("--bg"),
    foreground: colour("--fg"),
    cursor: colour("--accent"),
    cursorAccent: colour("--bg"),
    selectionBackground: colour("--selection"),
  };
  ANSI.forEach((name, number) => {
    theme[name] = colour(`--terminal-${String(number)}`);
    theme[`bright${name.charAt(0).toUpperCase()}${name.slice(1)}`] = colour(`--terminal-${String(number + 8)}`);
  });
  probe.remove();
  return theme as ITheme;
}

/** `rgb(1, 2, 3)` → `#010203`; what is no such colour is left to the emulator. */
function asHex(colour: string): string | undefined {
  const parts = /^rgba?\((\d+), (\d+), (\d+)/.exec(colour)?.slice(1);
  return parts && `#${parts.map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
}
