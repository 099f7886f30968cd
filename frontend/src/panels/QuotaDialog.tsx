import { useEffect, useState } from "preact/hooks";
import { hubUrl } from "../address";
import { request } from "../api/client";
import { HubError, messageOf } from "../api/errors";
import type { FrameError } from "../crdt/frames";
import { navigate } from "../router";
import { formatAgo } from "../store/format";
import { nameOf } from "../store/paths";
import { kernels, stopKernel, usage } from "../store/projects";
import { originText, shareText } from "../store/quotas";
import { quotaRefusalOf, type CountedKernel, type QuotaRefusal } from "../store/refusals";
import type { KernelState } from "../api/types";
import { Button } from "../ui/Button";
import { confirm, Dialog } from "../ui/Dialog";
import { showLayer } from "../ui/layers";
import { Meter } from "../ui/Progress";
import { toast } from "../ui/toast";
import { kernelStateTitle } from "./kernelState";
import "./quotaDialog.css";

const LOOK_AGAIN_MS = 500; // a kernel takes a second or two to end

let hideShown: (() => void) | null = null;

/**
 * Tells a person of a refusal: a used-up quota is explained, with what can be done at once; anything else is a toast.
 * `retry` is what was refused.
 */
export function explainRefusal(error: unknown, retry?: { label: string; run: () => void }): void {
  const told = toldBy(error);
  const refusal = told && quotaRefusalOf(told);
  if (!refusal) {
    toast({ kind: "error", text: told?.message ?? messageOf(error) });
    return;
  }
  hideShown?.(); // of several refusals at once the last one is shown
  const hide = showLayer(<QuotaDialog refusal={refusal} retry={retry} onClose={() => hide()} />);
  hideShown = hide;
}

/** What the hub said: in an answer, over a socket, or over a socket about a run. */
function toldBy(error: unknown): HubError | FrameError | null {
  if (error instanceof HubError) return error;
  const inner = error instanceof Error && "error" in error ? error.error : error;
  return typeof inner === "object" && inner !== null && "code" in inner && "message" in inner ? (inner as FrameError) : null;
}

function QuotaDialog({ refusal, retry, onClose }: { refusal: QuotaRefusal; retry?: { label: string; run: () => void }; onClose: () => void }) {
  const [stopping, setStopping] = useState<ReadonlySet<string>>(new Set());
  const [isTrashEmpty, setTrashEmpty] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const live = kernels.data.value;
  const isThere = (id: string) => live?.some((kernel) => kernel.id === id) ?? true;
  const isFreed = isTrashEmpty || [...stopping].some((id) => !isThere(id));
  const isEnding = [...stopping].some(isThere);

  useEffect(() => {
    if (!isEnding) return;
    const timer = setInterval(() => void kernels.refresh(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [isEnding]);

  const stop = async (kernel: CountedKernel) => {
    const isSure = kernel.state !== "busy" || (await confirm({ title: `Stop ${titleOf(kernel)}?`, text: "It is running something. Its variables are lost; the notebook and its outputs stay.", action: "Stop kernel", danger: true }));
    if (!isSure) return;
    setStopping((ids) => new Set([...ids, kernel.id]));
    setProblem(null);
    try {
      await kernels.refresh();
      if (isThere(kernel.id)) await stopKernel(kernel.id);
    } catch (error) {
      setStopping((ids) => new Set([...ids].filter((id) => id !== kernel.id)));
      setProblem(messageOf(error));
    }
  };

  const emptyTrash = async () => {
    const isSure = await confirm({ title: "Empty the trash?", text: "What is in it cannot be brought back after this.", action: "Delete for good", danger: true });
    if (!isSure) return;
    try {
      await request(`projects/${refusal.projectId ?? ""}/trash`, { method: "DELETE" });
      setTrashEmpty(true);
    } catch (error) {
      setProblem(messageOf(error));
    }
  };

  const again = () => {
    onClose();
    void usage.refresh();
    retry?.run();
  };
  const { figures } = refusal;

  return (
    <Dialog
      title={TITLES[figures.quota] ?? "Your quota is used up"}
      size="medium"
      onClose={onClose}
      onSubmit={isFreed && retry ? again : onClose}
      footer={
        <>
          <Button
            onClick={() => {
              onClose();
              navigate(hubUrl("/usage"));
            }}
          >
            See my usage
          </Button>
          <Button type="submit" kind="primary" disabled={retry !== undefined && !isFreed}>
            {retry ? retry.label : "Close"}
          </Button>
        </>
      }
    >
      <p>{refusal.message}</p>
      <div class="quota-share">
        <Meter used={figures.used} limit={figures.limit} label={shareText(figures)} />
        <span class="muted">{[shareText(figures), originText(figures.origin) && `limit ${originText(figures.origin)}`].filter(Boolean).join(", ")}</span>
      </div>
      {refusal.kernels.length > 0 && (
        <ul class="running quota-kernels" aria-label="Kernels that count">
          {refusal.kernels.map((kernel) => (
            <li key={kernel.id} class="running-item">
              <span class={`kernel-dot kernel-dot-${kernel.state}`} aria-hidden="true" />
              <div class="running-text">
                <span class="truncate">{titleOf(kernel)}</span>
                <span class="running-detail truncate">{detailOf(kernel)}</span>
              </div>
              <Button busy={stopping.has(kernel.id) && isThere(kernel.id)} disabled={stopping.has(kernel.id)} onClick={() => void stop(kernel)}>
                {!stopping.has(kernel.id) ? "Stop" : isThere(kernel.id) ? "Stopping…" : "Stopped"}
              </Button>
            </li>
          ))}
        </ul>
      )}
      {refusal.projectId !== null && (
        <Button icon="trash" disabled={isTrashEmpty} onClick={() => void emptyTrash()}>
          {isTrashEmpty ? "The trash is empty" : "Empty the trash of this project"}
        </Button>
      )}
      {problem && (
        <p class="field-error" role="alert">
          {problem}
        </p>
      )}
      <p class="quota-freed" role="status">
        {isFreed ? "There is room now." : ""}
      </p>
    </Dialog>
  );
}

const TITLES: Readonly<Record<string, string>> = {
  max_kernels: "All your kernels are in use",
  total_memory_bytes: "All your memory is in use",
  compute_gib_hours: "Your computing budget is used up",
  project_storage_bytes: "This project's storage is full",
  person_storage_bytes: "Your storage is full",
};

function titleOf(kernel: CountedKernel): string {
  return kernel.path === null ? kernel.kernelspecName : nameOf(kernel.path);
}

function detailOf(kernel: CountedKernel): string {
  const state = kernelStateTitle(kernel.state as KernelState);
  return [state, kernel.projectName, kernel.lastActivityAt ? `active ${formatAgo(kernel.lastActivityAt)}` : ""].filter(Boolean).join(" · ");
}
