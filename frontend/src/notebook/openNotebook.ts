/** One open notebook: its document, outputs, connections and what the person does in it. Lives as long as its tab. */

import { batch, computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";

import { requestJson } from "../api/client";
import type { Kernelspec, OpenedDocument, Role } from "../api/types";
import { NotebookModel } from "../crdt/notebookModel";
import { documentToNbformat, sameContent } from "../crdt/nbformat";
import { type CopyKey, dropCopy, dropOldCopies, findUnsentCopies, KeptCopy } from "../crdt/persistence";
import { Presence } from "../crdt/presence";
import { DocumentProvider } from "../crdt/provider";
import type { JsonObject } from "../crdt/schema";
import { NotebookUndo } from "../crdt/undo";
import type { CellEditor, EditorHost } from "../editor/cellEditor";
import { languageOfKernel, type LanguageName } from "../editor/languages";
import { LiveEditors } from "../editor/liveEditors";
import { CloseCode, HubSocket } from "../socket";
import { kernelspecsOf } from "../store/kernelspecs";
import { createOutputLog, type OutputLog } from "../store/outputLog";
import { explainRefusal } from "../panels/QuotaDialog";
import { toast } from "../ui/toast";
import { NotebookOutline } from "./outline";
import { RunsClient } from "./runsClient";
import { CellSelection } from "./selection";
import { NotebookVersions } from "./versions";

/** Edits of an earlier history of this notebook that never reached the hub. */
export interface RecoveredDraft {
  notebook: JsonObject;
  cellCount: number;
  drop(): void;
}

const UTF8_BYTES_PER_UNIT = 3; // at most: what a UTF-16 unit can take in an update

export class OpenNotebook {
  readonly #stops: (() => void)[] = [];
  readonly doc = new Y.Doc();
  readonly awareness = new Awareness(this.doc);
  readonly model: NotebookModel;
  readonly provider: DocumentProvider;
  readonly presence: Presence;
  readonly undo: NotebookUndo;
  readonly log: OutputLog = createOutputLog();
  readonly runs: RunsClient;
  readonly selection: CellSelection;
  readonly live: LiveEditors;
  readonly versions: NotebookVersions;
  readonly outline: NotebookOutline;
  readonly editors = new Map<string, CellEditor>();
  readonly host: EditorHost;
  /** Markdown cells that show their source. */
  readonly openMarkdown = signal<ReadonlySet<string>>(new Set());
  readonly cursor = signal<{ line: number; column: number; selected: number } | null>(null);
  readonly drafts = signal<readonly RecoveredDraft[]>([]);
  readonly kernelspecs: ReadonlySignal<readonly Kernelspec[]> = computed(() => kernelspecsOf(this.info.project_id).data.value ?? []);
  readonly lineNumbers = signal(false);
  /** Whether the view stays with the running cell; ends when the person scrolls. */
  readonly isFollowing = signal(false);
  /** Said to screen readers when it changes. */
  readonly announcement = signal("");
  readonly #isReady = signal(false);
  /** True once there is something to show: the hub's copy, or the one kept here. */
  readonly isReady: ReadonlySignal<boolean> = this.#isReady;
  /** Settles when `isReady` becomes true: what is clicked before is done then. */
  readonly whenReady = new Promise<void>((resolve) => {
    const stop = effect(() => {
      if (this.#isReady.value) resolve();
    });
    void this.#stops.push(stop);
  });
  readonly #problem = signal<string | null>(null);
  /** Why the notebook is no longer connected, for a person; null while all is well. */
  readonly problem: ReadonlySignal<string | null> = this.#problem;
  readonly role = computed<Role>(() => (this.provider.role.value ?? this.info.role) as Role);
  readonly canEdit = computed(() => this.role.value !== "viewer" && this.#problem.value === null);
  readonly language: ReadonlySignal<LanguageName>;

  /** Whether this browser has every edit, and keeps it when the page is closed. */
  get isWritten(): ReadonlySignal<boolean> {
    return this.#kept.isWritten;
  }

  /** Where a jump to a cell goes; set by the view. */
  reveal: (cellId: string) => void = () => undefined;
  /** The same for the n-th heading of a text cell; set by the view. */
  revealHeading: (cellId: string, nth: number) => void = () => undefined;
  readonly #kept: KeptCopy;
  readonly #copyKey: CopyKey;
  #isDisposed = false;

  constructor(
    readonly info: OpenedDocument,
    username: string,
    /** The notebook has a new history: open it anew. */
    private readonly onReplaced: () => void,
  ) {
    this.#copyKey = { username, documentId: info.id, epoch: info.epoch };
    this.#kept = new KeptCopy(this.doc, this.#copyKey);
    this.model = new NotebookModel(this.doc);
    this.selection = new CellSelection(this.model.order);
    this.live = new LiveEditors((id) => this.selection.active.peek() === id && this.selection.mode.peek() === "edit");
    this.presence = new Presence(this.awareness, username);
    this.undo = new NotebookUndo(this.doc, () => this.selection.active.peek(), (id) => this.#show(id));
    this.provider = new DocumentProvider({
      doc: this.doc,
      awareness: this.awareness,
      epoch: info.epoch,
      connect: (handlers) =>
        new HubSocket({ ...handlers, url: `/ws/documents/${info.id}?epoch=${encodeURIComponent(info.epoch)}` }),
      onWrongEpoch: () => this.#replace(),
      onUnreachable: (attempts, code, final) => void this.#findOutWhy(attempts, code, final),
      onAllAcknowledged: () => (this.#kept.unsent = false),
    });
    this.runs = new RunsClient({
      log: this.log,
      connect: (handlers) => new HubSocket({ ...handlers, url: `/ws/runs/${info.id}` }),
      onRefused: (error) => explainRefusal(error, { label: "Start it again", run: () => this.runs.start(this.kernelspecName.peek() ?? undefined) }),
    });
    this.outline = new NotebookOutline(this.model, this.selection.active, ({ cellId, nth }) => {
      this.isFollowing.value = false;
      this.selection.select(cellId);
      this.revealHeading(cellId, nth);
    });
    this.versions = new NotebookVersions(info.id, () => documentToNbformat(this.doc), this.provider.hasUnsentEdits);
    this.log.onGap(() => this.runs.resume());
    this.language = computed(() => {
      const kernelspec = this.kernelspecs.value.find((spec) => spec.name === this.kernelspecName.value);
      const info_ = this.model.metadata.value.language_info as { name?: string } | undefined;
      const spec = this.model.metadata.value.kernelspec as { language?: string } | undefined;
      return languageOfKernel(kernelspec?.language ?? info_?.name ?? spec?.language);
    });
    this.host = this.#makeHost();
    this.#stops.push(effect(() => {
        if (this.provider.hasUnsentEdits.value) this.#kept.unsent = true;
      }));
    let oldOrder = this.model.order.peek();
    this.#stops.push(
      effect(() => {
        const order = this.model.order.value;
        const before = oldOrder;
        oldOrder = order;
        this.selection.repair(before);
        if (order.length > 0) this.#isReady.value = true;
      }),
    );
    void this.provider.whenSynced.then(() => (this.#isReady.value = true));
    void this.#findDrafts();
  }

  /** What the document asks for, or what its kernel runs. */
  readonly kernelspecName = computed<string | null>(() => {
    const asked = this.model.metadata.value.kernelspec as { name?: unknown } | undefined;
    return this.log.kernel.value?.kernelspec_name ?? (typeof asked?.name === "string" ? asked.name : this.info.kernelspec_name);
  });

  readonly kernelTitle = computed(() => {
    const name = this.kernelspecName.value;
    const asked = this.model.metadata.value.kernelspec as { name?: unknown; display_name?: unknown } | undefined;
    const known = this.kernelspecs.value.find((spec) => spec.name === name)?.display_name;
    if (known) return known;
    return asked?.name === name && typeof asked?.display_name === "string" ? asked.display_name : (name ?? "No kernel");
  });

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    for (const stop of this.#stops) stop();
    this.presence.dispose();
    this.provider.dispose();
    this.runs.dispose();
    this.undo.dispose();
    this.model.dispose();
    this.live.detach();
    this.awareness.destroy();
    void this.#kept.dispose().then(() => this.doc.destroy());
  }

  startFollowing(): void {
    this.isFollowing.value = true;
  }

  loadKernelspecs(): Promise<void> {
    return kernelspecsOf(this.info.project_id).refresh();
  }

  setMarkdownOpen(ids: readonly string[], isOpen: boolean): void {
    const open = new Set(this.openMarkdown.peek());
    for (const id of ids) {
      if (isOpen) open.add(id);
      else open.delete(id);
    }
    this.openMarkdown.value = open;
  }

  #makeHost(): EditorHost {
    return {
      assistant: this.runs,
      presence: this.presence,
      undo: () => this.undo.undo(),
      redo: () => this.undo.redo(),
      onFocus: (cellId) => {
        if (this.selection.active.peek() !== cellId) this.undo.separate();
        this.selection.select(cellId, "edit");
      },
      onBlur: (cellId) => {
        this.cursor.value = null;
        // Focus that goes to another window comes back to the same place.
        if (document.hasFocus() && this.selection.active.peek() === cellId) this.selection.setMode("command");
      },
      onLeave: (_cellId, direction) => {
        const next = this.selection.neighbour(direction);
        if (next === null) return false;
        this.edit(next, direction > 0 ? "start" : "end");
        return true;
      },
      onCursor: (position) => (this.cursor.value = position),
      onTooLarge: () =>
        toast({ kind: "error", text: "That is too much text for one cell. Put it into a file and read the file instead." }),
      mostCharacters: () => Math.floor(this.provider.maxUpdateBytes / UTF8_BYTES_PER_UNIT),
    };
  }

  /** Puts the cursor into the cell. A Markdown cell shows its source. */
  edit(cellId: string, at: "start" | "end" | "keep" = "keep"): void {
    const cell = this.model.cell(cellId);
    if (!cell) return;
    batch(() => {
      this.selection.select(cellId, "edit");
      if (cell.type.peek() === "markdown" && this.canEdit.peek()) this.setMarkdownOpen([cellId], true);
      this.live.want(cellId);
    });
    // The editor is made by the cell's rendering, in this task's microtasks or the next frame.
    const focus = (triesLeft: number): void => {
      const view = this.editors.get(cellId)?.view;
      if (!view) {
        if (triesLeft > 0) requestAnimationFrame(() => focus(triesLeft - 1));
        return;
      }
      if (at !== "keep") view.dispatch({ selection: { anchor: at === "start" ? 0 : view.state.doc.length } });
      view.focus();
      this.reveal(cellId);
    };
    queueMicrotask(() => focus(5));
  }

  #show(cellId: string): void {
    this.selection.select(cellId, this.selection.mode.peek());
    this.reveal(cellId);
    if (this.selection.mode.peek() === "edit") this.edit(cellId);
  }

  /** Another history took over: what was not sent stays here as a draft, and the new one is opened. */
  #replace(): void {
    if (this.#isDisposed) return;
    this.#problem.value = "This notebook was replaced by another version. Opening it…";
    this.onReplaced();
  }

  /** A socket that is refused before it opens tells no reason: the API knows it. */
  async #findOutWhy(attempts: number, code: number, final: boolean): Promise<void> {
    if (!final && attempts % 4 !== 2) return;
    try {
      const now = await requestJson<OpenedDocument>(`documents/${this.info.id}`);
      if (now.epoch !== this.info.epoch) this.#replace();
      else if (final) this.#problem.value = "The connection was refused. Reload the page.";
    } catch (error) {
      const status = (error as { status?: number }).status ?? 0;
      if (status === 404) this.#problem.value = "This notebook was deleted, or is no longer shared with you.";
      else if (status === 401 || code === CloseCode.notSignedIn) this.#problem.value = "You were signed out. Sign in again to go on.";
    }
  }

  async #findDrafts(): Promise<void> {
    await this.provider.whenSynced;
    dropOldCopies(Date.now());
    for (const { key, doc } of await findUnsentCopies(this.#copyKey)) {
      const notebook = documentToNbformat(doc);
      if (sameContent(doc, this.doc)) {
        dropCopy(key);
        continue;
      }
      const draft: RecoveredDraft = {
        notebook,
        cellCount: Array.isArray(notebook.cells) ? notebook.cells.length : 0,
        drop: () => {
          dropCopy(key);
          this.drafts.value = this.drafts.peek().filter((other) => other !== draft);
        },
      };
      this.drafts.value = [...this.drafts.peek(), draft];
    }
  }
}
