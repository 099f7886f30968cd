import { useEffect } from "preact/hooks";
import type { Kernel, KernelState } from "../api/types";
import { projectUrl } from "../router";
import { formatAgo } from "../store/format";
import { nameOf } from "../store/paths";
import { kernels, stopKernel } from "../store/projects";
import { IconButton } from "../ui/Button";
import { confirm } from "../ui/Dialog";
import { toastError } from "../ui/toast";
import { kernelStateTitle } from "./kernelState";

const PASSING: ReadonlySet<KernelState> = new Set(["pending", "starting", "restarting", "stopping"]);
const PASSING_REFRESH_MS = 1_000; // such a state lasts a second or two, and nobody hints at its end outside its project

/** My live kernels, each with its state and a way to stop it. */
export function RunningList({ projectId, showsProject = false }: { projectId?: string; showsProject?: boolean }) {
  const all = kernels.data.value;
  useEffect(() => {
    if (!all?.some((kernel) => PASSING.has(kernel.state))) return;
    const timer = setTimeout(() => void kernels.refresh(), PASSING_REFRESH_MS);
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
          {[kernelStateTitle(kernel.state), showsProject ? kernel.project.name : kernel.kernelspec_name, activeLabel(kernel)].filter(Boolean).join(" · ")}
        </span>
      </div>
      <IconButton icon="stop" label={`Stop ${title}`} disabled={isEnding} size={14} onClick={stop} />
    </li>
  );
}

function activeLabel(kernel: Kernel): string {
  return kernel.state === "idle" && kernel.last_activity_at ? `active ${formatAgo(kernel.last_activity_at)}` : "";
}
