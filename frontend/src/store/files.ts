import { computed, signal, type ReadonlySignal } from "@preact/signals";
import { apiUrl, encodePath, request, requestJson } from "../api/client";
import { HubError } from "../api/errors";
import type { Entry, Folder, TrashEntry } from "../api/types";
import type { TreeNode } from "../ui/treeRows";
import { isWithin, joinPath, nameOf, parentOf } from "./paths";
import { Resource } from "./resource";

/** The files of one project: the folders that were looked into, and what one can do with them. */
export class ProjectFiles {
  readonly #folders = signal<ReadonlyMap<string, readonly Entry[]>>(new Map());
  readonly #open = signal<ReadonlySet<string>>(new Set());
  readonly #error = signal<HubError | null>(null);
  readonly #refusals = new Map<string, HubError>();
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #stale = new Set<string>();
  readonly #changeListeners = new Set<(folder: string) => void>();
  readonly openFolders: ReadonlySignal<ReadonlySet<string>> = this.#open;
  /** Why the project's own folder cannot be shown. */
  readonly error: ReadonlySignal<HubError | null> = this.#error;
  readonly isLoaded = computed(() => this.#folders.value.has(""));
  readonly nodes = computed(() => this.#nodesOf(""));
  readonly trash: Resource<TrashEntry[]>;

  constructor(readonly projectId: string) {
    this.trash = new Resource(() => requestJson<TrashEntry[]>(`projects/${projectId}/trash`));
  }

  /** The address of a file's bytes. */
  url(path: string): string {
    return apiUrl(this.#api(path));
  }

  entriesOf(folder: string): readonly Entry[] | null {
    return this.#folders.value.get(folder) ?? null;
  }

  entry(path: string): Entry | null {
    return this.entriesOf(parentOf(path))?.find((entry) => entry.path === path) ?? null;
  }

  /** Why a folder that is there cannot be shown: it has too many entries, say. */
  refusalOf(folder: string): HubError | null {
    return this.#refusals.get(folder) ?? null;
  }

  /** Every file that is known, for quick opening. */
  knownFiles(): Entry[] {
    return [...this.#folders.value.values()].flat().filter((entry) => entry.type !== "folder");
  }

  namesIn(folder: string): Set<string> {
    return new Set(this.#folders.peek().get(folder)?.map((entry) => entry.name) ?? []);
  }

  /** Calls `listener` whenever a folder may have changed on the hub. */
  onChange(listener: (folder: string) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  async setOpen(folder: string, isOpen: boolean): Promise<void> {
    const open = new Set(this.#open.peek());
    if (isOpen) open.add(folder);
    else open.delete(folder);
    this.#open.value = open;
    if (isOpen) await this.load(folder);
  }

  /** Opens all folders above `path`. */
  async reveal(path: string): Promise<void> {
    const above: string[] = [];
    for (let folder = parentOf(path); folder; folder = parentOf(folder)) above.unshift(folder);
    for (const folder of above) await this.setOpen(folder, true);
  }

  /** Fetches a folder. A call during a fetch of the same folder asks once more after it. */
  load(folder: string): Promise<void> {
    const running = this.#fetching.get(folder);
    if (running) {
      this.#stale.add(folder);
      return running;
    }
    const fetching = this.#fetch(folder).finally(() => this.#fetching.delete(folder));
    this.#fetching.set(folder, fetching);
    return fetching;
  }

  /** A hint: something in `folder` changed. Fetches it if it is shown. */
  async hint(folder: string): Promise<void> {
    if (folder === "" || this.#folders.peek().has(folder)) await this.load(folder);
    this.#tell(folder);
  }

  /** Fetches all folders that are shown. */
  async refresh(): Promise<void> {
    const shown = ["", ...this.#open.peek()];
    await Promise.all(shown.map((folder) => this.load(folder)));
    for (const folder of shown) this.#tell(folder);
  }

  async createFolder(path: string): Promise<void> {
    await request(this.#api(path), { method: "PUT", query: { folder: 1 }, headers: { "If-None-Match": "*" } });
    await this.load(parentOf(path));
  }

  async createFile(path: string, content: string): Promise<void> {
    await request(this.#api(path), { method: "PUT", body: content, headers: { "If-None-Match": "*", "Content-Type": "application/octet-stream" } });
    await this.load(parentOf(path));
  }

  async move(from: string, to: string): Promise<void> {
    await requestJson(`projects/${this.projectId}/files-move`, { method: "POST", json: { from, to } });
    this.#forget(from);
    await Promise.all([this.load(parentOf(from)), this.load(parentOf(to))]);
  }

  async copy(from: string, to: string): Promise<void> {
    await requestJson(`projects/${this.projectId}/files-copy`, { method: "POST", json: { from, to } });
    await this.load(parentOf(to));
  }

  /** Moves to the trash; the answer is what brings it back. */
  async remove(path: string): Promise<string> {
    const { trash_id } = await requestJson<{ trash_id: string }>(this.#api(path), { method: "DELETE" });
    this.#forget(path);
    await this.load(parentOf(path));
    if (this.trash.data.peek() !== null) void this.trash.refresh();
    return trash_id;
  }

  async restore(trashId: string): Promise<Entry> {
    const answer = await requestJson<Entry | { entry: Entry }>(`projects/${this.projectId}/trash/${trashId}/restore`, { method: "POST" });
    const entry = "entry" in answer ? answer.entry : answer;
    await Promise.all([this.load(parentOf(entry.path)), this.trash.refresh()]);
    return entry;
  }

  async destroy(trashId: string): Promise<void> {
    await request(`projects/${this.projectId}/trash/${trashId}`, { method: "DELETE" });
    await this.trash.refresh();
  }

  async stat(path: string): Promise<Entry> {
    return requestJson<Entry>(this.#api(path), { query: { stat: 1 } });
  }

  #tell(folder: string): void {
    for (const listener of this.#changeListeners) listener(folder);
  }

  #api(path: string): string {
    return `projects/${this.projectId}/files/${encodePath(path)}`;
  }

  async #fetch(folder: string): Promise<void> {
    do {
      this.#stale.delete(folder);
      try {
        const { entries } = await requestJson<Folder>(this.#api(folder));
        this.#folders.value = new Map(this.#folders.peek()).set(folder, sortEntries(entries));
        this.#refusals.delete(folder);
        if (folder === "") this.#error.value = null;
      } catch (error) {
        if (!(error instanceof HubError)) throw error;
        if (folder === "") this.#error.value = error;
        if (error.status === 413) this.#refuse(folder, error);
        else if (folder !== "" && error.status === 404) this.#forget(folder);
      }
    } while (this.#stale.has(folder));
  }

  /** Closes a folder that is too large to be shown. */
  #refuse(folder: string, error: HubError): void {
    this.#refusals.set(folder, error);
    this.#folders.value = new Map([...this.#folders.peek()].filter(([known]) => known !== folder));
    this.#open.value = new Set([...this.#open.peek()].filter((open) => open !== folder));
  }

  /** Drops what is known of a path that is gone. */
  #forget(path: string): void {
    this.#folders.value = new Map([...this.#folders.peek()].filter(([folder]) => !isWithin(folder, path)));
    this.#open.value = new Set([...this.#open.peek()].filter((folder) => !isWithin(folder, path)));
  }

  #nodesOf(folder: string): TreeNode<Entry>[] {
    return (this.#folders.value.get(folder) ?? []).map((entry) => ({
      id: entry.path,
      text: entry.name,
      item: entry,
      children: entry.type === "folder" ? (this.#folders.value.has(entry.path) ? this.#nodesOf(entry.path) : null) : undefined,
    }));
  }
}

/** Folders first, then by name as people count: `a2` before `a10`. */
export function sortEntries(entries: readonly Entry[]): Entry[] {
  const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  return [...entries].sort((one, other) => Number(other.type === "folder") - Number(one.type === "folder") || order.compare(one.name, other.name));
}

/** Where `path` lands when it is moved into `folder`. */
export function movedInto(path: string, folder: string): string {
  return joinPath(folder, nameOf(path));
}
