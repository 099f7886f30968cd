/** What a person must know, below the cells, so that nothing they read moves. */

import { useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";

import { request, encodePath } from "../api/client";
import { messageOf } from "../api/errors";
import type { Project } from "../api/types";
import { documentToNbformat } from "../crdt/nbformat";
import type { JsonObject } from "../crdt/schema";
import { isHubReachable } from "../store/connection";
import { Button } from "../ui/Button";
import { Icon, type IconName } from "../ui/Icon";
import { toast } from "../ui/toast";
import { canKeep, noticeText } from "./kernelNotice";
import type { OpenNotebook, RecoveredDraft } from "./openNotebook";
import { restart } from "./runActions";
import { KERNEL_WORDS } from "./Toolbar";

interface BannersProps {
  notebook: OpenNotebook;
  project: Project;
}

const ENDED = ["killed", "died", "failed", "lost", "culled"];

export function Banners({ notebook, project }: BannersProps) {
  return (
    <div class="nb-banners">
      <ProblemBanner notebook={notebook} />
      <RefusedBanner notebook={notebook} />
      {notebook.drafts.value.map((draft, at) => (
        <DraftBanner key={at} notebook={notebook} project={project} draft={draft} />
      ))}
      <NoticeBanner notebook={notebook} />
      <KernelBanner notebook={notebook} />
      <OfflineBanner notebook={notebook} />
    </div>
  );
}

function Banner({ kind, icon, children, actions }: { kind: "info" | "warn" | "danger"; icon: IconName; children: ComponentChildren; actions?: ComponentChildren }) {
  return (
    <div class={`nb-banner is-${kind}`} role={kind === "danger" ? "alert" : "status"}>
      <Icon name={icon} />
      <span class="nb-banner-text">{children}</span>
      <span class="nb-banner-actions">{actions}</span>
    </div>
  );
}

function OfflineBanner({ notebook }: { notebook: OpenNotebook }) {
  // When the whole hub is away the page says so; this is about this notebook's connection alone.
  if (notebook.provider.link.value !== "offline" || notebook.problem.value !== null || !isHubReachable.value) return null;
  return (
    <Banner kind="warn" icon="offline">
      This notebook is not connected right now. You can go on writing: edits are kept in this browser and sent later.
    </Banner>
  );
}

function ProblemBanner({ notebook }: { notebook: OpenNotebook }) {
  const problem = notebook.problem.value;
  if (problem === null) return null;
  return (
    <Banner
      kind="danger"
      icon="error"
      actions={notebook.provider.hasUnsentEdits.value && <Button onClick={() => download(fileName(notebook, "unsaved"), documentToNbformat(notebook.doc))}>Download my version</Button>}
    >
      {problem}
    </Banner>
  );
}

function RefusedBanner({ notebook }: { notebook: OpenNotebook }) {
  const refusal = notebook.provider.refusal.value;
  if (refusal === null) return null;
  const text = refusal.code === "viewer" ? "You may no longer change this notebook. Your last edits were not saved." : `Your last edits were not saved: ${refusal.message}`;
  return (
    <Banner kind="danger" icon="error" actions={<Button onClick={() => download(fileName(notebook, "unsaved"), documentToNbformat(notebook.doc))}>Download my version</Button>}>
      {text}
    </Banner>
  );
}

function NoticeBanner({ notebook }: { notebook: OpenNotebook }) {
  const notice = notebook.log.notice.value;
  const text = noticeText(notice);
  if (notice === null || text === null) return null;
  const isQueue = notice.queue_position !== null;
  return (
    <Banner
      kind={isQueue ? "info" : "warn"}
      icon={isQueue ? "info" : "warning"}
      actions={
        notebook.canEdit.value && (
          <>
            {canKeep(notice) && (
              <Button kind="primary" onClick={() => notebook.runs.keep()}>
                Keep it
              </Button>
            )}
            {isQueue && <Button onClick={() => notebook.runs.shutdown()}>Leave the queue</Button>}
          </>
        )
      }
    >
      {text}
    </Banner>
  );
}

function KernelBanner({ notebook }: { notebook: OpenNotebook }) {
  const dismissed = useSignal("");
  const ended = useComputed(() => {
    const kernel = notebook.log.kernel.value;
    return kernel && ENDED.includes(kernel.state) ? kernel : null;
  }).value;
  const key = ended ? `${ended.kernel_id} ${ended.state}` : "";
  if (!ended || dismissed.value === key) return null;
  const reason = ended.reason || `The kernel ${KERNEL_WORDS[ended.state] ?? "ended"}.`;
  const lost = ended.state === "failed" ? "" : " Its variables are lost; cells and outputs are all here.";
  return (
    <Banner
      kind={ended.state === "culled" ? "info" : "danger"}
      icon={ended.state === "culled" ? "info" : "warning"}
      actions={
        <>
          {notebook.canEdit.value && (
            <>
              <Button onClick={() => void restart(notebook)}>{ended.state === "failed" ? "Try again" : "Start again"}</Button>
              <Button onClick={() => void restart(notebook, "run all")}>Start and run all</Button>
            </>
          )}
          <Button kind="quiet" onClick={() => (dismissed.value = key)}>
            Dismiss
          </Button>
        </>
      }
    >
      {reason}
      {lost}
    </Banner>
  );
}

function DraftBanner({ notebook, project, draft }: BannersProps & { draft: RecoveredDraft }) {
  const isSaving = useSignal(false);
  const keepBeside = async (): Promise<void> => {
    isSaving.value = true;
    const path = besidePath(notebook.info.path, new Date());
    try {
      await request(`projects/${project.id}/files/${encodePath(path)}`, {
        method: "PUT",
        body: JSON.stringify(draft.notebook, null, 1),
        headers: { "If-None-Match": "*", "Content-Type": "application/octet-stream" },
      });
      draft.drop();
      toast({ kind: "ok", text: `Kept as ${path}` });
    } catch (error) {
      toast({ kind: "error", text: messageOf(error) });
    }
    isSaving.value = false;
  };
  return (
    <Banner
      kind="warn"
      icon="warning"
      actions={
        <>
          {notebook.canEdit.value && (
            <Button kind="primary" busy={isSaving.value} onClick={() => void keepBeside()}>
              Keep beside this one
            </Button>
          )}
          <Button onClick={() => download(fileName(notebook, "recovered"), draft.notebook)}>Download</Button>
          <Button kind="quiet" onClick={() => draft.drop()}>
            Discard
          </Button>
        </>
      }
    >
      You have edits of an earlier version of this notebook ({draft.cellCount} cells) that were never sent.
    </Banner>
  );
}

function fileName(notebook: OpenNotebook, word: string): string {
  const name = notebook.info.path.split("/").at(-1) ?? "notebook.ipynb";
  return name.replace(/(\.ipynb)?$/, ` (${word}).ipynb`);
}

/** `a/b.ipynb` → `a/b (recovered 2026-11-22 14.05.09).ipynb`. */
export function besidePath(path: string, at: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${String(at.getFullYear())}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}.${two(at.getMinutes())}.${two(at.getSeconds())}`;
  return path.replace(/(\.ipynb)?$/, ` (recovered ${day} ${time}).ipynb`);
}

function download(name: string, notebook: JsonObject): void {
  const url = URL.createObjectURL(new Blob([JSON.stringify(notebook, null, 1)], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
