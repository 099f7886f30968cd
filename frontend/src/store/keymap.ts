import { activeCommands, type Command } from "./commands";

export const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);
const SEQUENCE_MS = 800; // the longest pause within `D D`

/** What reaches the page also from a place that needs the keys for itself, such as a shell: no program there expects it. */
const PAGE_CHORD = /^(Ctrl-(Alt-)?Shift-|Meta-|Alt-Page(Up|Down)$)/;

/** Modifier order of a normal chord, as `chordOf` writes it. */
const MODIFIERS = ["Ctrl", "Meta", "Alt", "Shift"] as const;

/** `Mod-shift-p` → `Ctrl-Shift-P` (on a Mac `Meta-Shift-P`): one spelling for each chord. */
export function normaliseChord(chord: string, isMac: boolean = IS_MAC): string {
  const parts = chord.split(/-(?=.)/);
  const key = parts.pop() ?? "";
  const held = new Set(parts.map((part) => modifierName(part, isMac)));
  return [...MODIFIERS.filter((modifier) => held.has(modifier)), keyName(key)].join("-");
}

/** The chord of a key press, in the spelling of `normaliseChord`. */
export function chordOf(event: Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">): string {
  const held = [event.ctrlKey && "Ctrl", event.metaKey && "Meta", event.altKey && "Alt"].filter(Boolean) as string[];
  let key = keyName(event.key);
  // With Ctrl or Alt the layout may turn a key into another character; the letter or digit on it is meant.
  if ((event.altKey || event.ctrlKey || event.metaKey) && /^(Key[A-Z]|Digit\d|Minus)$/.test(event.code) && !/^[A-Z]$/.test(key)) {
    key = event.code === "Minus" ? "-" : event.code.replace(/^(Key|Digit)/, "");
  }
  // A shifted symbol ("?") already says that Shift is held.
  const namesShift = key.length > 1 || /^[A-Z0-9-]$/.test(key);
  if (event.shiftKey && namesShift) held.push("Shift");
  return [...held, key].join("-");
}

/** A chord as people read it: `⇧⌘P` on a Mac, `Ctrl+Shift+P` elsewhere. */
export function keysLabel(keys: string, isMac: boolean = IS_MAC): string {
  const signs: Record<string, string> = isMac ? { Ctrl: "⌃", Meta: "⌘", Alt: "⌥", Shift: "⇧", Enter: "↩", Escape: "esc" } : { Escape: "Esc", ArrowUp: "↑", ArrowDown: "↓" };
  return keys
    .split(" ")
    .map((chord) => {
      const parts = normaliseChord(chord, isMac).split(/-(?=.)/);
      return parts.map((part) => signs[part] ?? part).join(isMac ? "" : "+");
    })
    .join(" ");
}

/** Whether keys pressed there belong to a text the person writes. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest(".cm-editor")) return true;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button", "submit", "range", "file"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** Turns key presses into commands: one for the whole page. */
export class Keymap {
  #pending: string[] = [];
  #lastAt = -Infinity;

  /** The command of this press, `"partial"` in the middle of a sequence, or null. */
  match(chord: string, typing: boolean, nowMs: number, candidates: readonly Command[] = activeCommands()): Command | "partial" | null {
    if (nowMs - this.#lastAt > SEQUENCE_MS) this.#pending = [];
    this.#lastAt = nowMs;
    const allowed = candidates.filter((command) => !typing || command.whileTyping);
    const found = this.#find([...this.#pending, chord], allowed) ?? (this.#pending.length > 0 ? this.#find([chord], allowed) : null);
    if (found !== "partial") this.#pending = [];
    return found;
  }

  #find(typed: readonly string[], allowed: readonly Command[]): Command | "partial" | null {
    let partial = false;
    // Later registrations come last and win, so that an open view overrides the page.
    for (const command of [...allowed].reverse()) {
      for (const keys of command.keys ?? []) {
        const wanted = keys.split(" ").map((part) => normaliseChord(part));
        if (wanted.length < typed.length || !typed.every((chord, index) => chord === wanted[index])) continue;
        if (wanted.length === typed.length) {
          this.#pending = [];
          return command;
        }
        partial = true;
      }
    }
    if (!partial) return null;
    this.#pending = [...typed];
    return "partial";
  }

  /** A keydown listener (capture phase, so that it comes before editors). */
  readonly handle = (event: KeyboardEvent): void => {
    if (event.isComposing || event.defaultPrevented || ["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    const target = event.composedPath()[0] ?? event.target;
    if (document.querySelector("[role=dialog][aria-modal=true]")) return; // a dialog has the keyboard to itself
    if (target instanceof Element && target.closest("[role=menu]")) return;
    if (target instanceof Element && target.closest("[data-own-keys]") && !PAGE_CHORD.test(chordOf(event))) return;
    const found = this.match(chordOf(event), isTyping(target), event.timeStamp);
    if (found === null) return;
    if (found === "partial") {
      if (event.key.length > 1) event.preventDefault();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    void found.run();
  };
}

/** Listens for the whole page. Returns the function that stops it. */
export function startKeymap(): () => void {
  const keymap = new Keymap();
  addEventListener("keydown", keymap.handle, { capture: true });
  return () => removeEventListener("keydown", keymap.handle, { capture: true });
}

function modifierName(part: string, isMac: boolean): string {
  switch (part.toLowerCase()) {
    case "mod":
      return isMac ? "Meta" : "Ctrl";
    case "cmd":
    case "meta":
      return "Meta";
    case "alt":
      return "Alt";
    case "shift":
      return "Shift";
    default:
      return "Ctrl";
  }
}

function keyName(key: string): string {
  if (key === " ") return "Space";
  if (key === "Esc") return "Escape";
  if (key === "_") return "-"; // Shift and minus, on most layouts
  return key.length === 1 ? key.toUpperCase() : key;
}
