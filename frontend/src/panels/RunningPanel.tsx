import { useEffect } from "preact/hooks";
import type { Project } from "../api/types";
import { canEdit, kernels } from "../store/projects";
import { IconButton } from "../ui/Button";
import { PanelHeader } from "./PanelHeader";
import { RunningList } from "./RunningList";
import { TerminalList } from "./TerminalList";

/** My kernels and everybody's terminals in this project. */
export function RunningPanel({ project, onNewTerminal }: { project: Project; onNewTerminal: () => void }) {
  const isEditor = canEdit(project);
  useEffect(() => {
    void kernels.refresh();
  }, []);
  return (
    <section class="panel" aria-label="Running">
      <PanelHeader title="Running">
        <IconButton icon="refresh" label="Refresh" onClick={() => void kernels.refresh()} />
      </PanelHeader>
      <div class="panel-body">
        <RunningList projectId={project.id} />
        {isEditor && <TerminalList project={project} onNew={onNewTerminal} />}
      </div>
    </section>
  );
}
