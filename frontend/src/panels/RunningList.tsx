import { useEffect } from "preact/hooks";
import type { Kernel, KernelState } from "../api/types";
import { projectUrl } from "../router";
import { formatAgo, formatTimeOfDay, ordinal } from "../store/format";
import { nameOf } from "../store/paths";
import { kernels, stopKernel } from "../store/projects";
import { IconButton } from "../ui/Button";
import { confirm } from "../ui/Dialog";
import { toastError } from "../ui/toast";
import { kernelStateTitle } from "./kernelState";

const PASSING: ReadonlySet<KernelState> = new Set(["pending", "starting", "restarting", "stopping"]);
const WAITING_REFRESH_MS = 5_000; // a queue moves when somebody's kernel ends
const PASSING_REFRESH_MS = 1_000; // such a state lasts a second or two, and nobody hints at its end outside its project

/** My live kernels, each with its state and a way to stop it. */
export function RunningList({ projectId, showsProject = false }: { projectId?: string; showsProject?: boolean }) {
  const all = kernels.data.value;
  useEffect(() => {
    const passing = all?.filter((kernel) => PASSING.has(kernel.state)) ?? [];
    if (passing.length === 0) return;
    const isQueue = passing.every((kernel) => kernel.queue_position !== null);
    const timer = setTimeout(() => void kernels.refresh(), isQueue ? WAITING_REFRESH_MS : PASSING_REFRESH_MS);
    return () => clearTimeout(timer);
  }, [all]);
  const shown = (all ?? []).filter((kernel) => projectId === undefined || kernel.project.id === projectId);
  if (all === null) return kernels.error.value ? <p class="inline-error">{kernels.error.value.message}</p> : <p class="muted quiet-note">Looking…</p>;
  if (shown.length === 0) return <p class="muted quiet-note">Nothing is running{projectId === undefined ? "" : " in this project"}.</p>;
  return (
    <ul class="running">
      {shown.map((kernel) => (
        <RunningItem key={kernel.id} kernel={kernel} showsProject={showsProject} />
      ))}
    </ul>
  );
}

function RunningItem({ kernel, showsProject }: { kernel: Kernel; showsProject: boolean }) {
  const title = kernel.document ? nameOf(kernel.document.path) : kernel.kernelspec_name;
  const isEnding = kernel.state === "stopping";

  const stop = async () => {
    const isBusy = kernel.state === "busy";
    const isSure =
      !isBusy ||
      (await confirm({
        title: `Stop ${title}?`,
        text: "It is running something. Its variables are lost; the notebook and its outputs stay.",
        action: "Stop kernel",
        danger: true,
      }));
    if (isSure) await stopKernel(kernel.id).catch(toastError);
  };

  return (
    <li class="running-item">
      <span class={`kernel-dot kernel-dot-${kernel.state}`} aria-hidden="true" />
      <div class="running-text">
        {kernel.document ? (
          <a class="truncate" href={projectUrl(kernel.project, kernel.document.path)}>
            {title}
          </a>
        ) : (
          <span class="truncate">{title}</span>
        )}
        <span class="running-detail truncate">
          {[stateLabel(kernel), showsProject ? kernel.project.name : kernel.kernelspec_name, activeLabel(kernel)].filter(Boolean).join(" · ")}
        </span>
      </div>
      <IconButton icon="stop" label={`Stop ${title}`} disabled={isEnding} size={14} onClick={stop} />
    </li>
  );
}

/** "Waiting: 3rd of 7 in the queue"; "Idle, stops at 14:32". */
function stateLabel(kernel: Kernel): string {
  const title = kernelStateTitle(kernel.state);
  if (kernel.queue_position !== null) return `${title}: ${ordinal(kernel.queue_position)} of ${String(kernel.queue_length ?? kernel.queue_position)} in the queue`;
  return kernel.ends_at === null ? title : `${title}, stops at ${formatTimeOfDay(Date.parse(kernel.ends_at))}`;
}

function activeLabel(kernel: Kernel): string {
  return kernel.state === "idle" && kernel.last_activity_at ? `active ${formatAgo(kernel.last_activity_at)}` : "";
}
