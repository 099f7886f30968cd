import { HubError } from "../api/errors";
import type { Entry, Kernelspec } from "../api/types";
import type { ProjectFiles } from "../store/files";
import { droppedFiles } from "../store/dropped";
import { movedInto } from "../store/files";
import { emptyNotebook } from "../store/newNotebook";
import { freeName, isWithin, joinPath, nameOf, parentOf, problemOfName, terminalPath } from "../store/paths";
import { startTerminal } from "../store/terminals";
import type { ProjectTabs } from "../store/tabs";
import type { UploadQueue } from "../store/uploads";
import { ask } from "../ui/Dialog";
import { toast, toastError } from "../ui/toast";
import { chooseFolder } from "./ChooseFolder";

/** What a person can do with the files of the open project: asks, acts, and says how it went. */
export class FileActions {
  /** Path that is being dragged: a drag-over event may not read what it carries. */
  dragged: string | null = null;

  constructor(
    readonly files: ProjectFiles,
    readonly tabs: ProjectTabs,
    readonly uploads: UploadQueue,
    private readonly show: (path: string | null) => void,
  ) {}

  open(path: string): void {
    this.show(path);
  }

  async newNotebook(folder: string, kernelspec?: Kernelspec): Promise<void> {
    await this.#create(folder, "Untitled.ipynb", emptyNotebook(kernelspec));
  }

  async newFile(folder: string): Promise<void> {
    const name = await this.#askName("New file", "Create", freeName("untitled.txt", await this.#names(folder)), folder);
    if (name !== null) await this.#create(folder, name, "");
  }

  async newFolder(folder: string): Promise<void> {
    const name = await this.#askName("New folder", "Create", freeName("New folder", await this.#names(folder)), folder);
    if (name === null) return;
    await this.#attempt(async () => {
      await this.files.createFolder(joinPath(folder, name));
      await this.files.setOpen(joinPath(folder, name), true);
      if (folder) await this.files.setOpen(folder, true);
    });
  }

  /** A shell that starts in a folder of the project. */
  async newTerminal(folder: string): Promise<void> {
    await this.#attempt(async () => this.show(terminalPath((await startTerminal(this.files.projectId, folder)).name)));
  }

  async rename(entry: Entry): Promise<void> {
    const folder = parentOf(entry.path);
    const name = await this.#askName(`Rename ${entry.name}`, "Rename", entry.name, folder);
    if (name !== null && name !== entry.name) await this.#move(entry.path, joinPath(folder, name));
  }

  async move(entry: Entry): Promise<void> {
    const folder = await chooseFolder({ files: this.files, title: `Move ${entry.name}`, action: "Move here", from: parentOf(entry.path), without: entry.path });
    if (folder !== null) await this.moveInto(entry.path, folder);
  }

  async moveInto(path: string, folder: string): Promise<void> {
    this.dragged = null;
    const to = movedInto(path, folder);
    if (to === path || isWithin(folder, path)) return;
    await this.#move(path, to);
  }

  async duplicate(entry: Entry): Promise<void> {
    const folder = parentOf(entry.path);
    const to = joinPath(folder, freeName(entry.name, await this.#names(folder)));
    await this.#attempt(() => this.files.copy(entry.path, to));
  }

  async copyTo(entry: Entry): Promise<void> {
    const folder = await chooseFolder({ files: this.files, title: `Copy ${entry.name}`, action: "Copy here", from: parentOf(entry.path) });
    if (folder === null) return;
    await this.#attempt(async () => {
      await this.files.load(folder);
      const to = joinPath(folder, freeName(entry.name, this.files.namesIn(folder)));
      await this.files.copy(entry.path, to);
      toast({ kind: "ok", text: `Copied to ${to}.` });
    });
  }

  /** To the trash, with the way back in the notice. */
  async remove(entry: Entry): Promise<void> {
    await this.#attempt(async () => {
      if (!(await this.tabs.saveWithin(entry.path))) return;
      const trashId = await this.files.remove(entry.path);
      const closed = this.tabs.tabs.peek().filter((tab) => isWithin(tab.path, entry.path));
      const wasActive = this.tabs.active.peek();
      for (const tab of closed) this.tabs.close(tab.path);
      if (closed.length > 0) this.show(this.tabs.active.peek());
      toast({
        text: `${entry.name} is in the trash.`,
        action: {
          label: "Undo",
          run: () =>
            this.#attempt(async () => {
              const restored = await this.files.restore(trashId);
              await this.files.reveal(restored.path);
              if (wasActive !== null && isWithin(wasActive, entry.path) && restored.path === entry.path) this.show(wasActive);
            }),
        },
      });
    });
  }

  /** Sends files to a folder; folders in their paths are made first. */
  async upload(files: readonly { path: string; file: File }[], folder: string): Promise<void> {
    if (files.length === 0) return;
    const targets = files.map(({ path, file }) => ({ path: joinPath(folder, path), file }));
    for (const needed of foldersOf(targets.map(({ path }) => path), folder)) {
      await this.files.createFolder(needed).catch((error: unknown) => {
        if (!(error instanceof HubError && error.code === "exists")) throw error;
      });
    }
    if (folder) await this.files.setOpen(folder, true);
    this.uploads.add(targets);
  }

  async uploadDropped(transfer: DataTransfer, folder: string): Promise<void> {
    await this.upload(await droppedFiles(transfer), folder);
  }

  download(entry: Entry): void {
    const link = document.createElement("a");
    link.href = this.files.url(entry.path);
    link.download = entry.name;
    link.click();
  }

  async copyPath(entry: Entry): Promise<void> {
    await this.#attempt(async () => {
      await navigator.clipboard.writeText(entry.path);
      toast({ kind: "ok", text: "Path copied.", durationMs: 2_000 });
    });
  }

  async #move(from: string, to: string): Promise<void> {
    await this.#attempt(async () => {
      if (!(await this.tabs.saveWithin(from))) return;
      await this.files.move(from, to);
      const wasShown = this.tabs.active.peek();
      this.tabs.moved(from, to);
      if (wasShown !== null && isWithin(wasShown, from)) this.show(this.tabs.active.peek());
      if (parentOf(from) !== parentOf(to)) toast({ kind: "ok", text: `Moved ${nameOf(from)} to ${parentOf(to) || "the project"}.`, action: { label: "Undo", run: () => this.#move(to, from) } });
    });
  }

  async #create(folder: string, wanted: string, content: string): Promise<void> {
    await this.#attempt(async () => {
      const path = joinPath(folder, freeName(wanted, await this.#names(folder)));
      await this.files.createFile(path, content);
      if (folder) await this.files.setOpen(folder, true);
      this.open(path);
    });
  }

  async #names(folder: string): Promise<Set<string>> {
    if (this.files.entriesOf(folder) === null) await this.files.load(folder);
    return this.files.namesIn(folder);
  }

  async #askName(title: string, action: string, initial: string, folder: string): Promise<string | null> {
    const taken = await this.#names(folder);
    return ask({
      title,
      label: "Name",
      initial,
      action,
      selectsStem: true,
      check: (name) => problemOfName(name) ?? (taken.has(name) && name !== initial ? "Something here has that name already." : null),
    });
  }

  async #attempt(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      toastError(error);
    }
  }
}

/** The folders below `base` that these paths need, outer ones first. */
export function foldersOf(paths: readonly string[], base: string): string[] {
  const needed = new Set<string>();
  for (const path of paths) {
    for (let folder = parentOf(path); folder !== base && folder !== ""; folder = parentOf(folder)) needed.add(folder);
  }
  return [...needed].sort((one, other) => one.split("/").length - other.split("/").length || one.localeCompare(other));
}
