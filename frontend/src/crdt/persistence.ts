/** Keeps a document in this browser (IndexedDB), so that edits outlive a crash, a closed page and days without the hub. */

import type { ReadonlySignal } from "@preact/signals";
import { IndexeddbPersistence, storeState } from "y-indexeddb";
import * as Y from "yjs";

import { KeptWrites } from "./keptWrites";

export interface CopyKey {
  username: string;
  documentId: string;
  epoch: string;
}

interface CopyNote {
  openedAtMs: number;
  /** Edits that no hub has acknowledged. */
  unsent: boolean;
}

type CopyNotes = Record<string, CopyNote>;

const PREFIX = "zasper-document:";
const KEPT_MS = 30 * 24 * 3_600_000; // a copy that says nothing new is dropped after 30 days unopened
const LOAD_MS = 3_000; // a browser whose storage does not answer works without it

const databaseName = ({ username, documentId, epoch }: CopyKey): string => `${PREFIX}${username}:${documentId}:${epoch}`;
const noteKey = (username: string, documentId: string): string => `${PREFIX}${username}:${documentId}`;

function readNotes(key: string): CopyNotes {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "{}") as CopyNotes;
  } catch {
    return {};
  }
}

function writeNotes(key: string, notes: CopyNotes): void {
  try {
    if (Object.keys(notes).length) localStorage.setItem(key, JSON.stringify(notes));
    else localStorage.removeItem(key);
  } catch {
    // A full or forbidden storage: only the hint is lost.
  }
}

function changeNote(key: CopyKey, change: Partial<CopyNote> | null): void {
  const storageKey = noteKey(key.username, key.documentId);
  const { [key.epoch]: known, ...others } = readNotes(storageKey);
  const note = { ...(known ?? { openedAtMs: Date.now(), unsent: false }), ...change };
  writeNotes(storageKey, change === null ? others : { ...others, [key.epoch]: note });
}

/** The kept copy of one document and epoch, attached to `doc`. */
export class KeptCopy {
  readonly #store: IndexeddbPersistence | null;
  readonly #writes = new KeptWrites(() => this.#stored());
  /** Whether all of the document is in the browser's storage, and outlives the page. */
  readonly isWritten: ReadonlySignal<boolean> = this.#writes.isDone;
  /** The storage refused something, because it is full say: what it has of the document has a hole. */
  #hasHole = false;
  #unsent: boolean;
  /** Settles when what was kept is in the document, or when the storage does not answer. */
  readonly whenLoaded: Promise<void>;

  constructor(
    private readonly doc: Y.Doc,
    private readonly key: CopyKey,
  ) {
    this.#unsent = readNotes(noteKey(key.username, key.documentId))[key.epoch]?.unsent ?? false;
    changeNote(key, { openedAtMs: Date.now() });
    this.#store = typeof indexedDB === "undefined" ? null : new IndexeddbPersistence(databaseName(key), doc);
    // After the store itself: it has begun to write when this is called.
    doc.on("update", this.#onUpdate);
    const loaded =
      this.#store?.whenSynced
        .then(({ db }) => db?.addEventListener("abort", () => (this.#hasHole = true))) // of any transaction
        .catch(() => undefined) ?? Promise.resolve();
    this.whenLoaded = Promise.race([loaded, new Promise<void>((resolve) => setTimeout(resolve, LOAD_MS))]);
  }

  /** Notes whether the copy holds edits that the hub has not acknowledged; cheap when nothing changed. */
  set unsent(unsent: boolean) {
    if (unsent === this.#unsent) return;
    this.#unsent = unsent;
    changeNote(this.key, { unsent });
  }

  get unsent(): boolean {
    return this.#unsent;
  }

  async dispose(): Promise<void> {
    this.doc.off("update", this.#onUpdate);
    this.#writes.dispose();
    await this.#store?.destroy();
  }

  readonly #onUpdate = (_update: Uint8Array, origin: unknown): void => {
    if (origin !== this.#store) this.#writes.note();
  };

  /** Transactions that write to one store take turns: when this one is through, all before it are. */
  async #stored(): Promise<void> {
    await this.whenLoaded;
    const database = this.#store?.db;
    if (!this.#store || !database) throw new Error("This browser keeps nothing.");
    if (this.#hasHole) {
      this.#hasHole = false;
      await storeState(this.#store);
    }
    await new Promise<void>((resolve, reject) => {
      const turn = database.transaction(["updates"], "readwrite");
      turn.oncomplete = () => resolve();
      turn.onabort = () => reject(new Error("This browser's storage took nothing."));
      turn.objectStore("updates").get(0);
    });
    if (this.#hasHole) throw new Error("This browser's storage took not all.");
  }
}

/** Documents of other epochs that still hold edits the hub never acknowledged. Copies with nothing new are dropped. */
export async function findUnsentCopies(key: CopyKey): Promise<{ key: CopyKey; doc: Y.Doc }[]> {
  const found: { key: CopyKey; doc: Y.Doc }[] = [];
  for (const [epoch, note] of Object.entries(readNotes(noteKey(key.username, key.documentId)))) {
    if (epoch === key.epoch) continue;
    const copyKey = { ...key, epoch };
    if (!note.unsent) {
      dropCopy(copyKey);
      continue;
    }
    const doc = new Y.Doc();
    const copy = new KeptCopy(doc, copyKey);
    await copy.whenLoaded;
    await copy.dispose();
    if (doc.store.clients.size === 0) dropCopy(copyKey);
    else found.push({ key: copyKey, doc });
  }
  return found;
}

export function dropCopy(key: CopyKey): void {
  changeNote(key, null);
  if (typeof indexedDB !== "undefined") indexedDB.deleteDatabase(databaseName(key));
}

/** Drops copies of any document that nobody opened for 30 days and that hold nothing unsent. */
export function dropOldCopies(nowMs: number): void {
  for (const storageKey of Object.keys(localStorage).filter((name) => name.startsWith(PREFIX))) {
    const [username, documentId] = storageKey.slice(PREFIX.length).split(":");
    if (username === undefined || documentId === undefined) continue;
    for (const [epoch, note] of Object.entries(readNotes(storageKey))) {
      if (!note.unsent && nowMs - note.openedAtMs > KEPT_MS) dropCopy({ username, documentId, epoch });
    }
  }
}
