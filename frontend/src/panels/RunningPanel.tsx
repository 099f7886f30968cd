import { useEffect } from "preact/hooks";
import { kernels } from "../store/projects";
import { IconButton } from "../ui/Button";
import { PanelHeader } from "./PanelHeader";
import { RunningList } from "./RunningList";

/** My kernels in this project. */
export function RunningPanel({ projectId }: { projectId: string }) {
  useEffect(() => {
    void kernels.refresh();
  }, []);
  return (
    <section class="panel" aria-label="Running">
      <PanelHeader title="Running">
        <IconButton icon="refresh" label="Refresh" onClick={() => void kernels.refresh()} />
      </PanelHeader>
      <div class="panel-body">
        <RunningList projectId={projectId} />
      </div>
    </section>
  );
}
