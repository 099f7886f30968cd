import { signal } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { activeCommands } from "../store/commands";
import { keysLabel } from "../store/keymap";
import { rememberFocus, trapTab } from "./focus";
import { Icon, type IconName } from "./Icon";
import { rank } from "./matching";
import "./palette.css";

export interface PaletteEntry {
  id: string;
  title: string;
  detail?: string;
  keys?: string;
  icon?: IconName;
  run: () => void | Promise<void>;
}

type Mode = "commands" | "files";

const MOST_SHOWN = 60;
const open = signal<Mode | null>(null);

/** Where files for quick opening come from while a project is open. */
export const fileEntries = signal<(() => PaletteEntry[]) | null>(null);

export function openPalette(mode: Mode = "commands"): void {
  open.value = mode;
}

/** The palette, when it is open. Typing `>` turns from files to commands. */
export function Palette() {
  return open.value === null ? null : <OpenPalette mode={open.value} key={open.value} />;
}

function OpenPalette({ mode }: { mode: Mode }) {
  const [text, setText] = useState(mode === "commands" && fileEntries.peek() ? ">" : "");
  const [index, setIndex] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const giveBack = useRef<() => void>(() => undefined);
  // Commands ask their `when` about the page below, so they are taken once, before the focus moves.
  const [taken] = useState(() => activeCommands());

  useLayoutEffect(() => {
    giveBack.current = rememberFocus();
    input.current?.focus();
    input.current?.setSelectionRange(text.length, text.length);
  }, []);

  const isCommands = fileEntries.value === null || text.startsWith(">");
  const query = text.replace(/^>\s*/, "");
  const entries: PaletteEntry[] = isCommands
    ? taken
        .filter((command) => command.inPalette !== false)
        .map((command) => ({ id: command.id, title: command.title, detail: command.group, keys: command.keys?.[0], run: command.run }))
    : (fileEntries.value?.() ?? []);
  const shown = rank(entries, query, (entry) => `${entry.title} ${entry.detail ?? ""}`).slice(0, MOST_SHOWN);
  const current = shown[Math.min(index, shown.length - 1)];

  const close = () => {
    open.value = null;
    giveBack.current();
  };
  const run = (entry: PaletteEntry | undefined) => {
    if (!entry) return;
    close();
    void entry.run();
  };

  const handleKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const count = Math.max(1, shown.length);
      const next = Math.abs(step) === 1 ? (index + step + count) % count : Math.max(0, Math.min(count - 1, index + step));
      setIndex(next);
      requestAnimationFrame(() => box.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }));
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(current);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    } else if (box.current) trapTab(event, box.current);
  };

  return (
    <div
      class="palette-backdrop"
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) close();
      }}
    >
      <div ref={box} class="palette" role="dialog" aria-modal="true" aria-label={isCommands ? "Commands" : "Open a file"} onKeyDown={handleKey}>
        <input
          ref={input}
          class="palette-input"
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={current ? `palette-${current.id}` : undefined}
          aria-label={isCommands ? "Search commands" : "Search files"}
          placeholder={isCommands ? "Type a command" : "Type a file’s name, or > for commands"}
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setIndex(0);
          }}
        />
        <div id="palette-list" class="palette-list" role="listbox" aria-label={isCommands ? "Commands" : "Files"}>
          {shown.map((entry) => (
            <div
              key={entry.id}
              id={`palette-${entry.id}`}
              class="palette-entry"
              role="option"
              aria-selected={entry === current}
              onPointerMove={() => setIndex(shown.indexOf(entry))}
              onClick={() => run(entry)}
            >
              {entry.icon && <Icon name={entry.icon} size={14} />}
              <span class="palette-title truncate">{entry.title}</span>
              {entry.detail && <span class="palette-detail truncate">{entry.detail}</span>}
              {entry.keys && <kbd>{keysLabel(entry.keys)}</kbd>}
            </div>
          ))}
        </div>
        {shown.length === 0 && <p class="palette-none">{isCommands ? "No command matches." : "No file matches."}</p>}
      </div>
    </div>
  );
}
