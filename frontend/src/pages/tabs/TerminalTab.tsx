import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { HubSocket } from "../../socket";
import { terminalOf, titleOf } from "../../store/paths";
import { TerminalLink, type TerminalEnd } from "../../store/terminalLink";
import { terminalsOf } from "../../store/terminals";
import { Button } from "../../ui/Button";
import { tabId } from "../../ui/Tabs";
import { toast } from "../../ui/toast";
import type { TabViewProps } from "../TabArea";
import { openScreen, type TerminalScreen } from "./terminalScreen";
import "./terminal.css";

/** A shell of the project. It goes on when the tab is closed or the page loaded again. */
export function TerminalTab({ project, work, tab, isActive }: TabViewProps) {
  const place = useRef<HTMLDivElement>(null);
  const screen = useRef<TerminalScreen | null>(null);
  const [end, setEnd] = useState<TerminalEnd | null>(null);
  const isConnected = useSignal(true);
  const name = terminalOf(tab.path) ?? "";
  const title = titleOf(tab.path);

  useEffect(() => {
    if (!place.current) return;
    const opened = openScreen(place.current, `${title}. Shift-Escape leaves it.`, () => document.getElementById(tabId(tab.path))?.focus());
    screen.current = opened;
    const { terminal } = opened;
    const link = new TerminalLink({
      url: `/jupyter/${encodeURIComponent(project.team)}/${encodeURIComponent(project.slug)}/terminals/websocket/${encodeURIComponent(name)}`,
      screen: { write: (text, done) => terminal.write(text, done), reset: () => terminal.reset() },
      connect: (options) => new HubSocket(options),
      isAlive: async () => {
        const terminals = terminalsOf(project.id);
        await terminals.refresh();
        if (terminals.error.peek()) throw terminals.error.peek();
        return terminals.data.peek()?.some((known) => known.name === name) ?? false;
      },
      onEnd: (ending) => {
        terminal.options.disableStdin = true;
        terminal.options.cursorBlink = false;
        setEnd(ending);
        void terminalsOf(project.id).refresh();
      },
      onInputLost: () => toast({ kind: "error", text: `The connection to ${title} broke while something was pasted: part of it may be missing.` }),
    });
    const stopFollowing = link.state.subscribe((state) => (isConnected.value = state !== "waiting"));
    terminal.onData((text) => link.type(text));
    terminal.onBinary((bytes) => link.type(bytes));
    terminal.onResize(({ rows, cols }) => link.resize(rows, cols));
    opened.fit();
    link.resize(terminal.rows, terminal.cols);
    const observer = new ResizeObserver(() => opened.fit());
    observer.observe(place.current);
    return () => {
      observer.disconnect();
      stopFollowing();
      link.close();
      opened.dispose();
      screen.current = null;
    };
  }, [project.id, name]);

  useEffect(() => {
    if (!isActive) return;
    screen.current?.fit();
    screen.current?.terminal.focus();
  }, [isActive]);

  return (
    <div class="terminal-tab">
      {end !== null ? (
        <div class="terminal-note" role="status">
          <span>
            {title} is over. {end.reason}
          </span>
          <Button icon="terminal" onClick={() => void work.actions.newTerminal("")}>
            New terminal
          </Button>
        </div>
      ) : (
        !isConnected.value && (
          <div class="terminal-note" role="status">
            Connecting… The shell goes on meanwhile.
          </div>
        )
      )}
      <div ref={place} class="terminal-place" data-own-keys role="region" aria-label={title} />
    </div>
  );
}
