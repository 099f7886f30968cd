/** Keeps one Yjs document and its awareness in step with the hub over the document socket. */

import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import { applyAwarenessUpdate, type Awareness, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import * as Y from "yjs";

import {
  compareStreamIds,
  decodeServerFrame,
  encodeAwareness,
  encodeSyncRequest,
  encodeUpdate,
  type FrameError,
  type Hello,
} from "./frames";

/** What the provider needs of a socket that reconnects by itself. */
export interface SocketPort {
  send(data: Uint8Array<ArrayBuffer>): boolean;
  /** Drops this connection and tries anew. */
  reconnect(): void;
  close(): void;
}

export interface SocketHandlers {
  onOpen(): void;
  onMessage(data: ArrayBuffer | string): void;
  onClose(code: number, final: boolean): void;
}

export interface ProviderOptions {
  doc: Y.Doc;
  awareness: Awareness;
  epoch: string;
  connect(handlers: SocketHandlers): SocketPort;
  /** Another history took this one's place: nothing was merged, nothing more will be sent. */
  onWrongEpoch(epoch: string | null): void;
  /** The connection failed `attempts` times in a row without a hello, or was refused for good (`final`). */
  onUnreachable?(attempts: number, code: number, final: boolean): void;
  /** Everything this document holds is in the hub's log. */
  onAllAcknowledged?(): void;
}

export type LinkState = "connecting" | "synced" | "offline" | "ended";
export interface SavedState {
  state: "connecting" | "saving" | "saved" | "disk" | "offline" | "error";
  text: string;
}

const FLUSH_MS = 40; // keystrokes of one burst travel together, and nobody sees the delay
const AWARENESS_MS = 60;
const QUIET_OFFLINE_MS = 1_500; // a shorter gap is not worth a word
const ANSWER_MS = 8_000; // an update that is not acknowledged by then went into a dead connection
const DEFAULT_MAX_UPDATE_BYTES = 1_000_000;

/** Origin of everything that came from the hub. */
export class FromHub {
  readonly name = "hub";
}

export class DocumentProvider {
  readonly #link = signal<LinkState>("connecting");
  readonly link: ReadonlySignal<LinkState> = this.#link;
  readonly #role = signal<string | null>(null);
  /** The role the hub last told; null before the first hello. */
  readonly role: ReadonlySignal<string | null> = this.#role;
  readonly #refusal = signal<FrameError | null>(null);
  /** Why the hub did not take an edit. From then on edits stay here. */
  readonly refusal: ReadonlySignal<FrameError | null> = this.#refusal;
  readonly #pendingCount = signal(0);
  /** True while an edit of this browser is not acknowledged. */
  readonly hasUnsentEdits = computed(() => this.#pendingCount.value > 0);
  readonly #onDisk = signal(true);
  readonly saved: ReadonlySignal<SavedState>;
  /** Settles with the first sync. */
  readonly whenSynced: Promise<void>;

  maxUpdateBytes = DEFAULT_MAX_UPDATE_BYTES;
  readonly #origin = new FromHub();
  readonly #socket: SocketPort;
  #settleSynced: () => void = () => undefined;
  #queue: Uint8Array[] = [];
  #unacknowledged = new Set<number>();
  #nextNumber = 1;
  #lastAcknowledged = "";
  #durable = "";
  #greeted = false;
  #isSynced = false;
  #failures = 0;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  #changedAwareness = new Set<number>();
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #awarenessTimer: ReturnType<typeof setTimeout> | undefined;
  #offlineTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: ProviderOptions) {
    this.whenSynced = new Promise((resolve) => (this.#settleSynced = resolve));
    this.saved = computed(() => this.#describe());
    options.doc.on("update", this.#onLocalUpdate);
    options.awareness.on("update", this.#onAwarenessChange);
    this.#socket = options.connect({
      onOpen: () => undefined, // the hub speaks first
      onMessage: (data) => this.#receive(data),
      onClose: (code, final) => this.#onClosed(code, final),
    });
  }

  /** Sends what waits now, then ends. The document itself stays as it is. */
  dispose(): void {
    this.#flush();
    this.options.doc.off("update", this.#onLocalUpdate);
    removeAwarenessStates(this.options.awareness, [this.options.awareness.clientID], "local");
    this.#sendAwareness();
    this.options.awareness.off("update", this.#onAwarenessChange);
    clearTimeout(this.#offlineTimer);
    clearTimeout(this.#awarenessTimer);
    clearTimeout(this.#answerTimer);
    this.#socket.close();
    this.#link.value = "ended";
  }

  #describe(): SavedState {
    const refusal = this.#refusal.value;
    if (refusal) return { state: "error", text: `Not saved: ${refusal.message}` };
    switch (this.#link.value) {
      case "connecting":
        return { state: "connecting", text: "Connecting…" };
      case "offline":
        return { state: "offline", text: "Offline – edits kept here" };
      case "ended":
        return this.hasUnsentEdits.value
          ? { state: "error", text: "Not saved: disconnected" }
          : { state: "saved", text: "Saved" };
      case "synced":
        if (this.hasUnsentEdits.value) return { state: "saving", text: "Saving…" };
        return this.#onDisk.value ? { state: "disk", text: "Saved to disk" } : { state: "saved", text: "Saved" };
    }
  }

  // What comes in

  #receive(data: ArrayBuffer | string): void {
    if (typeof data === "string") return;
    const frame = decodeServerFrame(data);
    switch (frame.kind) {
      case "hello":
        this.#onHello(frame.hello);
        break;
      case "sync":
        this.#onSync(frame.stateVector, frame.update);
        break;
      case "update":
        Y.applyUpdate(this.options.doc, frame.update, this.#origin);
        break;
      case "ack":
        this.#onAcknowledged(frame.number, frame.streamId);
        break;
      case "durable":
        this.#durable = frame.streamId;
        this.#updateOnDisk();
        break;
      case "awareness":
        applyAwarenessUpdate(this.options.awareness, frame.update, this.#origin);
        break;
      case "echo":
        this.#send(frame.frame);
        break;
      case "refused":
        this.#onRefused(frame.number, frame.error);
        break;
    }
  }

  #onHello(hello: Hello): void {
    if (hello.epoch !== this.options.epoch) {
      this.#end(hello.epoch);
      return;
    }
    this.#greeted = true;
    this.#failures = 0;
    this.maxUpdateBytes = hello.max_update_bytes || DEFAULT_MAX_UPDATE_BYTES;
    this.#role.value = hello.role;
    this.#send(encodeSyncRequest(Y.encodeStateVector(this.options.doc)));
  }

  #onSync(stateVector: Uint8Array, update: Uint8Array): void {
    const { doc } = this.options;
    clearTimeout(this.#offlineTimer);
    Y.applyUpdate(doc, update, this.#origin);
    // Whatever waited or was under way when the connection broke is part of the difference.
    this.#queue = [];
    this.#unacknowledged.clear();
    this.#hearAnswer();
    this.#isSynced = true;
    if (this.canSend && this.#holdsMoreThan(stateVector, update)) {
      this.#sendUpdate(Y.encodeStateAsUpdate(doc, stateVector));
    }
    batch(() => {
      this.#link.value = "synced";
      this.#count();
    });
    // With a raised clock: peers take it also when they saw this state before.
    this.options.awareness.setLocalState(this.options.awareness.getLocalState());
    this.#settleSynced();
  }

  /** Whether this document has inserts or deletions that the hub lacks. */
  #holdsMoreThan(stateVector: Uint8Array, hubUpdate: Uint8Array): boolean {
    const hub = Y.createSnapshot(Y.decodeUpdate(hubUpdate).ds, Y.decodeStateVector(stateVector));
    const here = Y.snapshot(this.options.doc);
    for (const [client, clock] of here.sv) if ((hub.sv.get(client) ?? 0) < clock) return true;
    return !containsDeletions(hub.ds, here.ds);
  }

  #onAcknowledged(number: number, streamId: string): void {
    this.#unacknowledged.delete(number);
    this.#hearAnswer();
    if (compareStreamIds(streamId, this.#lastAcknowledged) > 0) this.#lastAcknowledged = streamId;
    batch(() => {
      this.#updateOnDisk();
      this.#count();
    });
  }

  /** A laptop that slept or changed networks keeps a connection that leads nowhere. */
  #onSilence(): void {
    this.#answerTimer = undefined;
    if (!this.#isSynced || this.#unacknowledged.size === 0) return;
    this.#isSynced = false;
    this.#link.value = "offline";
    this.#socket.reconnect();
  }

  #onRefused(number: number, error: FrameError): void {
    this.#unacknowledged.delete(number);
    if (error.code === "viewer") this.#role.value = "viewer";
    this.#refusal.value = error;
    this.#count();
  }

  /** The connection lives: wait anew for what is still unanswered. */
  #hearAnswer(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = this.#unacknowledged.size ? setTimeout(() => this.#onSilence(), ANSWER_MS) : undefined;
  }

  #updateOnDisk(): void {
    this.#onDisk.value = compareStreamIds(this.#durable, this.#lastAcknowledged) >= 0;
  }

  #onClosed(code: number, final: boolean): void {
    const neverGreeted = !this.#greeted;
    this.#greeted = false;
    this.#isSynced = false;
    removeAwarenessStates(
      this.options.awareness,
      [...this.options.awareness.getStates().keys()].filter((id) => id !== this.options.awareness.clientID),
      this.#origin,
    );
    if (code === 4409) {
      this.#end(null);
      return;
    }
    if (neverGreeted) this.#failures += 1;
    if (final) this.#link.value = "ended";
    else if (this.#link.value === "connecting" && this.#failures > 1) this.#link.value = "offline";
    else if (this.#link.value === "synced") {
      clearTimeout(this.#offlineTimer);
      this.#offlineTimer = setTimeout(() => {
        if (!this.#isSynced && this.#link.value === "synced") this.#link.value = "offline";
      }, QUIET_OFFLINE_MS);
    }
    if (final || this.#failures > 1) this.options.onUnreachable?.(this.#failures, code, final);
  }

  #end(newEpoch: string | null): void {
    this.#isSynced = false;
    this.#link.value = "ended";
    this.#socket.close();
    this.options.onWrongEpoch(newEpoch);
  }

  // What goes out

  get canSend(): boolean {
    return this.#role.value !== "viewer" && this.#refusal.value === null;
  }

  readonly #onLocalUpdate = (update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction): void => {
    if (origin === this.#origin || !transaction.local) return;
    this.#queue.push(update);
    this.#count();
    this.#flushTimer ??= setTimeout(() => this.#flush(), FLUSH_MS);
  };

  #flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (!this.#isSynced || !this.canSend || this.#queue.length === 0) return; // the next sync carries it
    const updates = this.#queue;
    this.#queue = [];
    const merged = updates.length === 1 ? updates[0] : Y.mergeUpdates(updates);
    if (merged && merged.length <= this.maxUpdateBytes) this.#sendUpdate(merged);
    else for (const update of updates) this.#sendUpdate(update);
    this.#count();
  }

  #sendUpdate(update: Uint8Array): void {
    if (update.length > this.maxUpdateBytes) {
      const limit = Math.floor(this.maxUpdateBytes / 1000);
      this.#refusal.value = {
        code: "too_large",
        message: `this change is larger than the ${String(limit)} kB the hub takes at once. It is kept in this browser.`,
      };
      return;
    }
    const number = this.#nextNumber;
    this.#nextNumber = (this.#nextNumber + 1) >>> 0 || 1;
    this.#unacknowledged.add(number);
    this.#answerTimer ??= setTimeout(() => this.#onSilence(), ANSWER_MS);
    this.#send(encodeUpdate(number, update));
  }

  #count(): void {
    const waiting = this.#queue.length + this.#unacknowledged.size + (this.#refusal.value ? 1 : 0);
    this.#pendingCount.value = waiting;
    if (waiting === 0 && this.#isSynced) this.options.onAllAcknowledged?.();
  }

  readonly #onAwarenessChange = (
    change: { added: number[]; updated: number[]; removed: number[] },
    origin: unknown,
  ): void => {
    if (origin === this.#origin) return;
    // A timeout of somebody else's state is not ours to tell.
    const own = [...change.added, ...change.updated, ...change.removed].filter(
      (id) => id === this.options.awareness.clientID,
    );
    if (own.length) this.#queueAwareness(own);
  };

  #queueAwareness(clients: number[]): void {
    for (const client of clients) this.#changedAwareness.add(client);
    this.#awarenessTimer ??= setTimeout(() => this.#sendAwareness(), AWARENESS_MS);
  }

  #sendAwareness(): void {
    clearTimeout(this.#awarenessTimer);
    this.#awarenessTimer = undefined;
    const { awareness } = this.options;
    const known = [...this.#changedAwareness].filter((id) => awareness.meta.has(id));
    this.#changedAwareness.clear();
    if (this.#isSynced && known.length) this.#send(encodeAwareness(encodeAwarenessUpdate(awareness, known)));
  }

  #send(frame: Uint8Array): void {
    this.#socket.send(frame as Uint8Array<ArrayBuffer>);
  }
}

type DeleteSet = ReturnType<typeof Y.createDeleteSet>;

/** Whether each range deleted in `part` is deleted in `whole` too. */
function containsDeletions(whole: DeleteSet, part: DeleteSet): boolean {
  for (const [client, ranges] of part.clients) {
    const others = [...(whole.clients.get(client) ?? [])].sort((a, b) => a.clock - b.clock);
    for (const range of ranges) {
      let clock = range.clock;
      const end = range.clock + range.len;
      for (const other of others) {
        if (other.clock <= clock && other.clock + other.len > clock) clock = other.clock + other.len;
        if (clock >= end) break;
      }
      if (clock < end) return false;
    }
  }
  return true;
}
