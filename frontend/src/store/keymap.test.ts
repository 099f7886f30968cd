import { afterEach, describe, expect, test, vi } from "vitest";
import { activeCommands, registerCommands, runCommand, type Command } from "./commands";
import { chordOf, isTyping, Keymap, keysLabel, normaliseChord, startKeymap } from "./keymap";

const press = (key: string, held: Partial<Record<"ctrlKey" | "metaKey" | "altKey" | "shiftKey", boolean>> = {}, code = "") =>
  chordOf({ key, code, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held });

describe("chords", () => {
  test.each([
    ["Mod-Shift-P", press("P", { ctrlKey: true, shiftKey: true }, "KeyP")],
    ["Shift-Enter", press("Enter", { shiftKey: true })],
    ["a", press("a")],
    ["Shift-M", press("M", { shiftKey: true })],
    ["?", press("?", { shiftKey: true })],
    ["Ctrl-Shift--", press("_", { ctrlKey: true, shiftKey: true }, "Minus")],
    ["Alt-W", press("∑", { altKey: true }, "KeyW")],
    ["Esc", press("Escape")],
    ["Space", press(" ")],
    ["Alt-PageDown", press("PageDown", { altKey: true })],
  ])("%s is what the keyboard says", (written, pressed) => {
    expect(normaliseChord(written, false)).toBe(pressed);
  });

  test("Mod is Cmd on a Mac", () => {
    expect(normaliseChord("Mod-S", true)).toBe("Meta-S");
    expect(normaliseChord("Mod-S", false)).toBe("Ctrl-S");
  });

  test("labels read as the system writes them", () => {
    expect(keysLabel("Mod-Shift-P", false)).toBe("Ctrl+Shift+P");
    expect(keysLabel("Mod-Shift-P", true)).toBe("⌘⇧P");
    expect(keysLabel("D D", false)).toBe("D D");
  });
});

const command = (id: string, keys: string[], more: Partial<Command> = {}): Command => ({ id, title: id, keys, run: () => undefined, ...more });
const idOf = (found: Command | "partial" | null) => (typeof found === "object" ? found?.id : found);

describe("Keymap", () => {
  test("a sequence needs both keys within its time", () => {
    const keymap = new Keymap();
    const all = [command("delete", ["D D"])];
    expect(keymap.match("D", false, 0, all)).toBe("partial");
    expect(idOf(keymap.match("D", false, 300, all))).toBe("delete");
    expect(keymap.match("D", false, 1000, all)).toBe("partial");
    expect(keymap.match("D", false, 2000, all)).toBe("partial");
  });

  test("another key breaks a sequence and counts by itself", () => {
    const keymap = new Keymap();
    const all = [command("delete", ["D D"]), command("above", ["A"])];
    keymap.match("D", false, 0, all);
    expect(idOf(keymap.match("A", false, 10, all))).toBe("above");
    expect(keymap.match("D", false, 20, all)).toBe("partial");
  });

  test("while a person types only commands that allow it fire", () => {
    const keymap = new Keymap();
    const all = [command("above", ["A"]), command("run", ["Shift-Enter"], { whileTyping: true })];
    expect(keymap.match("A", true, 0, all)).toBeNull();
    expect(idOf(keymap.match("Shift-Enter", true, 1, all))).toBe("run");
  });

  test("the command that was registered last wins", () => {
    const keymap = new Keymap();
    expect(idOf(keymap.match("Ctrl-S", false, 0, [command("old", ["Ctrl-S"]), command("new", ["Ctrl-S"])]))).toBe("new");
  });
});

describe("the page's keymap", () => {
  let stop: (() => void)[] = [];
  afterEach(() => {
    for (const end of stop) end();
    stop = [];
    document.body.replaceChildren();
  });
  const type = (target: EventTarget, key: string, init: KeyboardEventInit = {}) => {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, composed: true, ...init });
    target.dispatchEvent(event);
    return event;
  };
  const setUp = (...commands: Command[]) => stop.push(startKeymap(), registerCommands(commands));

  test("runs a command and keeps the browser from its own", () => {
    const run = vi.fn();
    setUp(command("x", ["Ctrl-B"], { run }));
    expect(type(document.body, "b", { ctrlKey: true }).defaultPrevented).toBe(true);
    expect(run).toHaveBeenCalledTimes(1);
  });

  test("leaves keys to inputs, editors, dialogs and menus", () => {
    const run = vi.fn();
    setUp(command("x", ["A"], { run }));
    const input = document.createElement("input");
    const editor = document.createElement("div");
    editor.className = "cm-editor";
    const menu = document.createElement("div");
    menu.setAttribute("role", "menu");
    document.body.append(input, editor, menu);
    for (const target of [input, editor, menu]) type(target, "a");
    const dialog = document.createElement("div");
    dialog.setAttribute("role", "dialog");
    dialog.setAttribute("aria-modal", "true");
    document.body.append(dialog);
    type(document.body, "a");
    expect(run).not.toHaveBeenCalled();
    dialog.remove();
    type(document.body, "a");
    expect(run).toHaveBeenCalledTimes(1);
  });

  test("does not act in the middle of composing a character", () => {
    const run = vi.fn();
    setUp(command("x", ["Enter"], { run, whileTyping: true }));
    type(document.body, "Enter", { isComposing: true });
    expect(run).not.toHaveBeenCalled();
  });

  test("a check box is no place to type", () => {
    const box = document.createElement("input");
    box.type = "checkbox";
    expect(isTyping(box)).toBe(false);
    expect(isTyping(document.createElement("textarea"))).toBe(true);
  });
});

describe("commands", () => {
  test("apply only when they say so, and leave with their view", () => {
    let isOn = false;
    const run = vi.fn();
    const unregister = registerCommands([command("x", [], { when: () => isOn, run })]);
    expect(runCommand("x")).toBe(false);
    isOn = true;
    expect(runCommand("x")).toBe(true);
    unregister();
    expect(runCommand("x")).toBe(false);
    expect(run).toHaveBeenCalledTimes(1);
  });

  test("two registrations of one id are one command", () => {
    const stopFirst = registerCommands([command("same", [], { title: "first" } as Partial<Command>)]);
    const stopSecond = registerCommands([{ ...command("same", []), title: "second" }]);
    expect(activeCommands().filter(({ id }) => id === "same").map(({ title }) => title)).toEqual(["second"]);
    stopSecond();
    expect(activeCommands().filter(({ id }) => id === "same").map(({ title }) => title)).toEqual(["first"]);
    stopFirst();
  });
});
