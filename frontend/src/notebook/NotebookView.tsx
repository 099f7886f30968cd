/** The tab of a notebook: opens its document, shows it, and tells the shell about it. */

import { effect, type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { messageOf } from "../api/errors";
import type { KernelState, Project } from "../api/types";
import type { SavedState } from "../crdt/provider";
import { isHubReachable } from "../store/connection";
import { me } from "../store/me";
import { openDocument } from "../store/openedDocuments";
import type { TabStatus } from "../store/status";
import { Button } from "../ui/Button";
import { Loading } from "../ui/Progress";
import { NotebookPage } from "./NotebookPage";
import { OpenNotebook } from "./openNotebook";

export interface NotebookViewProps {
  project: Project;
  path: string;
  isActive: boolean;
  status: Signal<TabStatus>;
}

type Opening = { state: "opening" } | { state: "failed"; text: string } | { state: "open"; notebook: OpenNotebook };

/** Opens the document, and opens it anew when its history was replaced. */
class Opener {
  readonly now = signal<Opening>({ state: "opening" });
  #isClosed = false;

  constructor(
    private readonly project: Project,
    private readonly path: string,
  ) {
    void this.open();
  }

  async open(): Promise<void> {
    const before = this.now.peek();
    if (before.state !== "open") this.now.value = { state: "opening" };
    try {
      const info = await openDocument(this.project.id, this.path);
      if (before.state === "open") before.notebook.dispose();
      if (this.#isClosed) return;
      this.now.value = { state: "open", notebook: new OpenNotebook(info, me.data.peek()?.username ?? "", () => void this.open()) };
    } catch (error) {
      if (!this.#isClosed) this.now.value = { state: "failed", text: messageOf(error) };
    }
  }

  close(): void {
    this.#isClosed = true;
    const now = this.now.peek();
    if (now.state === "open") now.notebook.dispose();
  }
}

export function NotebookView({ project, path, isActive, status }: NotebookViewProps) {
  const opener = useMemo(() => new Opener(project, path), [project.id, path]);
  useEffect(() => () => opener.close(), [opener]);
  useEffect(() => effect(() => tellStatus(opener.now.value, status)), [opener, status]);

  const now = opener.now.value;
  switch (now.state) {
    case "opening":
      return <Loading label="Opening the notebook…" />;
    case "failed":
      return (
        <div class="nb-problem" role="alert">
          <p>{now.text}</p>
          <Button onClick={() => void opener.open()}>Try again</Button>
        </div>
      );
    case "open":
      return <NotebookPage key={now.notebook.info.epoch} notebook={now.notebook} project={project} isActive={isActive} />;
  }
}

const SAVED: Record<SavedState["state"], TabStatus["saved"]> = {
  connecting: undefined,
  saving: "saving",
  saved: "saved",
  disk: "on-disk",
  offline: "offline",
  error: "failed",
};

function tellStatus(now: Opening, status: Signal<TabStatus>): void {
  if (now.state !== "open") {
    status.value = {};
    return;
  }
  const { notebook } = now;
  const kernel = notebook.log.kernel.value;
  const isOffline = notebook.provider.link.value === "offline" && !notebook.runs.isLive.value;
  const next: TabStatus = {
    kernel: {
      title: notebook.kernelTitle.value,
      state: isOffline ? "reconnecting" : ((kernel?.state ?? "none") as KernelState | "none"),
      ...(kernel?.reason ? { reason: kernel.reason } : {}),
      ...(notebook.log.use.value && !isOffline ? { use: notebook.log.use.value } : {}),
    },
    people: notebook.presence.people.value,
    readOnly: notebook.role.value === "viewer",
    versions: notebook.versions,
    outline: notebook.outline,
  };
  // The browser may know that it is offline long before the connection notices.
  const isKeptHere = !isHubReachable.value && notebook.provider.hasUnsentEdits.value;
  let saved = isKeptHere ? "offline" : SAVED[notebook.provider.saved.value.state];
  if (saved === "offline" && !notebook.isWritten.value) saved = "unsaved";
  if (saved) next.saved = saved;
  if (notebook.cursor.value) next.position = notebook.cursor.value;
  status.value = next;
}
