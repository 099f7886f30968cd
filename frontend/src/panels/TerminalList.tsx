import { useEffect } from "preact/hooks";
import type { Project } from "../api/types";
import { projectUrl } from "../router";
import { formatAgo } from "../store/format";
import { terminalPath } from "../store/paths";
import { stopTerminal, terminalsOf, type Terminal } from "../store/terminals";
import { Button, IconButton } from "../ui/Button";
import { confirm } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { toastError } from "../ui/toast";

/** The terminals of a project: who started them, and a way to stop them. */
export function TerminalList({ project, onNew }: { project: Project; onNew: () => void }) {
  const terminals = terminalsOf(project.id);
  useEffect(() => {
    void terminals.refresh();
  }, [terminals]);
  const all = terminals.data.value;
  return (
    <section class="running-terminals" aria-label="Terminals">
      <h3>Terminals</h3>
      {all === null ? (
        <p class={terminals.error.value ? "inline-error" : "muted quiet-note"}>{terminals.error.value?.message ?? "Looking…"}</p>
      ) : all.length === 0 ? (
        <p class="muted quiet-note">No terminal is open in this project.</p>
      ) : (
        <ul class="running">
          {all.map((terminal) => (
            <TerminalItem key={terminal.name} project={project} terminal={terminal} />
          ))}
        </ul>
      )}
      <Button icon="terminal" onClick={onNew}>
        New terminal
      </Button>
    </section>
  );
}

function TerminalItem({ project, terminal }: { project: Project; terminal: Terminal }) {
  const title = `Terminal ${terminal.name}`;
  const stop = async () => {
    const isSure = await confirm({ title: `Stop ${title}?`, text: "What runs in it ends, also in the background.", action: "Stop terminal", danger: true });
    if (isSure) await stopTerminal(project.id, terminal.name).catch(toastError);
  };
  return (
    <li class="running-item">
      <Icon name="terminal" size={14} />
      <div class="running-text">
        <a class="truncate" href={projectUrl(project, terminalPath(terminal.name))}>
          {title}
        </a>
        <span class="running-detail truncate">{[terminal.user, `active ${formatAgo(terminal.last_activity_at)}`].filter(Boolean).join(" · ")}</span>
      </div>
      <IconButton icon="stop" label={`Stop ${title}`} size={14} onClick={stop} />
    </li>
  );
}
