import { signal, type ReadonlySignal } from "@preact/signals";

/** One thing a person can do. Palette, menus, keymap and help all read the same list. */
export interface Command {
  /** `area.verb-object`, e.g. `notebook.run-cell`. */
  id: string;
  /** A sentence's beginning: "Run cell and select next". */
  title: string;
  /** Heading in the help, e.g. "Notebook: command mode". */
  group?: string;
  /** Chords as `Mod-Shift-P` (Mod is Cmd on a Mac, Ctrl elsewhere), sequences with spaces: `D D`. */
  keys?: readonly string[];
  /** Whether it applies now; without it, always. Keys, palette and menus obey. */
  when?: () => boolean;
  /** Its keys also work while the person types (in an input, an editor). Default: only outside. */
  whileTyping?: boolean;
  /** False hides it from the palette (it stays in the help), for moves such as "select next cell". */
  inPalette?: boolean;
  run: () => void | Promise<void>;
}

const registered = signal<readonly Command[]>([]);
export const commands: ReadonlySignal<readonly Command[]> = registered;

/** Adds commands; the later registration of an id wins. Returns the function that takes them away again. */
export function registerCommands(added: readonly Command[]): () => void {
  const mine = new Set(added);
  registered.value = [...registered.peek(), ...added];
  return () => {
    registered.value = registered.peek().filter((command) => !mine.has(command));
  };
}

/** The commands that apply now, latest registration of an id only. */
export function activeCommands(): Command[] {
  const byId = new Map<string, Command>();
  for (const command of registered.value) byId.set(command.id, command);
  return [...byId.values()].filter((command) => command.when?.() ?? true);
}

export function runCommand(id: string): boolean {
  const command = activeCommands().find((candidate) => candidate.id === id);
  if (!command) return false;
  void command.run();
  return true;
}
