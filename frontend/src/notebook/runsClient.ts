/** The runs socket of one document (docs/reference/runs.md): what the kernel did comes in, what the person wants goes out. */

import { type ReadonlySignal, signal } from "@preact/signals";

import type { FrameError } from "../crdt/frames";

export interface RunCell {
  cell_id: string;
  source: string;
}

export interface RunOptions {
  stop_on_error?: boolean;
  kernelspec_name?: string;
}

export interface RunsSocket {
  send(data: string): boolean;
  reconnect(): void;
  close(): void;
}

export interface RunsHandlers {
  onOpen(): void;
  onMessage(data: unknown): void;
  onClose(code: number, final: boolean): void;
}

/** The part of the output log the client feeds. */
export interface RunsLog {
  readonly seq: number;
  receive(message: never): void;
}

export interface RunsClientOptions {
  log: RunsLog;
  connect(handlers: RunsHandlers): RunsSocket;
  onRefused(error: FrameError): void;
  onComm?(message: { message_type: string; content: unknown; metadata: unknown }): void;
  newId?: () => string;
}

export class RunsError extends Error {
  constructor(readonly error: FrameError) {
    super(error.message);
  }
}

interface PendingRun {
  message: Record<string, unknown> & { cells: RunCell[] };
  settle(error?: FrameError): void;
}

interface PendingReply {
  resolve(content: Record<string, unknown>): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

const REPLY_MS = 10_000; // a busy kernel answers no completion: the person goes on typing
const UNREACHABLE: FrameError = {
  code: "disconnected",
  message: "The hub cannot be reached right now. Try again when the connection is back.",
};

/** A random id that also works on pages without TLS, where `crypto.randomUUID` is missing. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export class RunsClient {
  readonly #isLive = signal(false);
  /** True while what is shown is what the kernel does: after `resumed` or `snapshot`. */
  readonly isLive: ReadonlySignal<boolean> = this.#isLive;
  readonly #sending = signal<ReadonlySet<string>>(new Set());
  /** Cells of runs the hub has not accepted yet. */
  readonly sending: ReadonlySignal<ReadonlySet<string>> = this.#sending;
  #isOpen = false;
  readonly #runs = new Map<string, PendingRun>();
  readonly #replies = new Map<string, PendingReply>();
  readonly #socket: RunsSocket;
  readonly #newId: () => string;

  constructor(private readonly options: RunsClientOptions) {
    this.#newId = options.newId ?? randomId;
    this.#socket = options.connect({
      onOpen: () => this.#onOpen(),
      onMessage: (data) => this.#receive(data),
      onClose: () => this.#onClosed(),
    });
  }

  dispose(): void {
    this.#socket.close();
    this.#onClosed();
    for (const run of this.#runs.values()) run.settle(UNREACHABLE);
    this.#runs.clear();
  }

  /** Asks for what was missed. Also right when the log finds a gap. */
  resume(): void {
    this.#send({ type: "resume", seq: this.options.log.seq });
  }

  /**
   * Settles when the hub accepted the run. Without a connection the run waits and is sent on return; the same
   * `request_id` makes a repetition harmless. Raises RunsError when it is refused.
   */
  run(cells: RunCell[], options: RunOptions = {}): Promise<void> {
    if (cells.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const requestId = this.#newId();
      const message = { type: "run", request_id: requestId, cells, ...options };
      this.#runs.set(requestId, {
        message,
        settle: (error) => {
          if (error) reject(new RunsError(error));
          else resolve();
        },
      });
      this.#countSending();
      if (this.#isOpen) this.#send(message);
    });
  }

  interrupt(): void {
    // What was not sent yet must not start after all.
    for (const [id, run] of this.#runs) {
      if (this.#isOpen) break;
      this.#runs.delete(id);
      run.settle({ code: "cancelled", message: "Cancelled before it was sent." });
    }
    this.#countSending();
    this.#order({ type: "interrupt" });
  }

  restart(): void {
    this.#order({ type: "restart" });
  }

  shutdown(): void {
    this.#order({ type: "shutdown" });
  }

  /** The kernel is not to end for want of use. */
  keep(): void {
    this.#order({ type: "keep" });
  }

  start(kernelspecName?: string): void {
    this.#order({ type: "start", ...(kernelspecName ? { kernelspec_name: kernelspecName } : {}) });
  }

  replyInput(inputId: string, value: string): void {
    this.#order({ type: "input_reply", input_id: inputId, value });
  }

  clearOutputs(cellIds: readonly string[]): void {
    if (cellIds.length) this.#order({ type: "clear_outputs", cells: cellIds });
  }

  /** `cursorPos` counts code points. Raises RunsError. */
  complete(code: string, cursorPos: number): Promise<Record<string, unknown>> {
    return this.#ask({ type: "complete", code, cursor_pos: cursorPos });
  }

  inspect(code: string, cursorPos: number, detailLevel = 0): Promise<Record<string, unknown>> {
    return this.#ask({ type: "inspect", code, cursor_pos: cursorPos, detail_level: detailLevel });
  }

  #ask(question: Record<string, unknown>): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const id = this.#newId();
      const timer = setTimeout(() => {
        this.#replies.delete(id);
        reject(new RunsError({ code: "no_answer", message: "The kernel is busy and did not answer." }));
      }, REPLY_MS);
      this.#replies.set(id, { resolve, reject, timer });
      if (!this.#send({ ...question, id })) this.#failReply(id, UNREACHABLE);
    });
  }

  #order(message: Record<string, unknown>): void {
    if (!this.#send(message)) this.options.onRefused(UNREACHABLE);
  }

  #send(message: Record<string, unknown>): boolean {
    return this.#socket.send(JSON.stringify(message));
  }

  #receive(data: unknown): void {
    if (typeof data !== "string") return;
    const message = JSON.parse(data) as Record<string, unknown> & { type: string };
    switch (message.type) {
      case "snapshot":
      case "resumed":
        this.options.log.receive(message as never);
        this.#isLive.value = true;
        break;
      case "snapshot_part":
      case "ops":
      case "kernel_notice":
      case "kernel_use":
        this.options.log.receive(message as never);
        break;
      case "accepted":
        this.#settleRun(String(message.request_id));
        break;
      case "refused":
        this.#onRefused(message.error as FrameError, message.request_id);
        break;
      case "reply":
        this.#onReply(message);
        break;
      case "comm":
        this.options.onComm?.(message as never);
        break;
      default: // a newer hub may say more
    }
  }

  #onReply(message: Record<string, unknown>): void {
    const id = String(message.id);
    if (message.error) return this.#failReply(id, message.error as FrameError);
    const reply = this.#replies.get(id);
    this.#replies.delete(id);
    if (!reply) return;
    clearTimeout(reply.timer);
    reply.resolve((message.content ?? {}) as Record<string, unknown>);
  }

  #failReply(id: string, error: FrameError): void {
    const reply = this.#replies.get(id);
    this.#replies.delete(id);
    if (!reply) return;
    clearTimeout(reply.timer);
    reply.reject(new RunsError(error));
  }

  #onRefused(error: FrameError, requestId: unknown): void {
    if (typeof requestId === "string" && this.#runs.has(requestId)) this.#settleRun(requestId, error);
    else this.options.onRefused(error);
  }

  #settleRun(requestId: string, error?: FrameError): void {
    const run = this.#runs.get(requestId);
    this.#runs.delete(requestId);
    this.#countSending();
    run?.settle(error);
  }

  /** What waits is sent at once: what it causes comes behind what was missed. */
  #onOpen(): void {
    this.#isOpen = true;
    this.resume();
    for (const run of this.#runs.values()) this.#send(run.message);
  }

  #onClosed(): void {
    this.#isOpen = false;
    this.#isLive.value = false;
    for (const id of [...this.#replies.keys()]) this.#failReply(id, UNREACHABLE);
  }

  #countSending(): void {
    const cells = new Set<string>();
    for (const run of this.#runs.values()) for (const cell of run.message.cells) cells.add(cell.cell_id);
    this.#sending.value = cells;
  }
}
