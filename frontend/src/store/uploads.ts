import { computed, signal, type ReadonlySignal } from "@preact/signals";
import { apiUrl, csrfToken, encodePath, reportReachability } from "../api/client";
import { HubError, errorFromAnswer } from "../api/errors";

export type UploadState = "waiting" | "sending" | "done" | "failed" | "cancelled" | "exists";

export interface Upload {
  id: number;
  path: string;
  sizeBytes: number;
  sentBytes: number;
  state: UploadState;
  error: HubError | null;
}

/** Sends one file; resolves when the hub has it. Rejects with HubError, or AbortError when cancelled. */
export type SendFile = (upload: { path: string; file: Blob; replaces: boolean }, onProgress: (sentBytes: number) => void, signal: AbortSignal) => Promise<void>;

const AT_ONCE = 2; // more would only share the same line, and hide which file is on its way

/** Sends files one after another, tells how far each is, and can stop each. */
export class UploadQueue {
  readonly #uploads = signal<readonly Upload[]>([]);
  readonly uploads: ReadonlySignal<readonly Upload[]> = this.#uploads;
  readonly isBusy = computed(() => this.#uploads.value.some((upload) => upload.state === "waiting" || upload.state === "sending"));
  readonly #files = new Map<number, { file: Blob; replaces: boolean }>();
  readonly #aborts = new Map<number, AbortController>();
  #lastId = 0;

  /** `onDone` is called with each path that arrived. */
  constructor(
    private readonly send: SendFile,
    private readonly onDone: (path: string) => void = () => undefined,
  ) {}

  add(files: readonly { path: string; file: Blob }[]): void {
    const added = files.map(({ path, file }): Upload => {
      const id = ++this.#lastId;
      this.#files.set(id, { file, replaces: false });
      return { id, path, sizeBytes: file.size, sentBytes: 0, state: "waiting", error: null };
    });
    this.#uploads.value = [...this.#uploads.peek(), ...added];
    this.#startNext();
  }

  /** Stops a file that waits or is being sent; the hub keeps nothing of it. */
  cancel(id: number): void {
    const upload = this.#find(id);
    if (upload?.state !== "waiting" && upload?.state !== "sending") return;
    this.#change(id, { state: "cancelled" });
    this.#aborts.get(id)?.abort();
    this.#startNext();
  }

  cancelAll(): void {
    // Those that wait first: ending one that is sent would start them.
    for (const upload of [...this.#uploads.peek()].reverse()) this.cancel(upload.id);
  }

  /** Sends again what failed, was cancelled or, with `replaces`, met a file of the same name. */
  retry(id: number, options: { replaces?: boolean; path?: string } = {}): void {
    const upload = this.#find(id);
    const kept = this.#files.get(id);
    if (!upload || !kept || upload.state === "sending" || upload.state === "waiting" || upload.state === "done") return;
    kept.replaces = options.replaces ?? false;
    this.#change(id, { state: "waiting", sentBytes: 0, error: null, path: options.path ?? upload.path });
    this.#startNext();
  }

  /** Takes the finished ones off the list. */
  clear(): void {
    for (const upload of this.#uploads.peek()) if (upload.state !== "waiting" && upload.state !== "sending") this.#files.delete(upload.id);
    this.#uploads.value = this.#uploads.peek().filter((upload) => upload.state === "waiting" || upload.state === "sending");
  }

  #startNext(): void {
    const all = this.#uploads.peek();
    const free = AT_ONCE - all.filter((upload) => upload.state === "sending").length;
    for (const upload of all.filter((candidate) => candidate.state === "waiting").slice(0, Math.max(0, free))) void this.#run(upload.id);
  }

  async #run(id: number): Promise<void> {
    const upload = this.#find(id);
    const kept = this.#files.get(id);
    if (!upload || !kept) return;
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    this.#change(id, { state: "sending" });
    try {
      await this.send({ path: upload.path, ...kept }, (sentBytes) => this.#change(id, { sentBytes }), abort.signal);
      this.#files.delete(id);
      this.#change(id, { state: "done", sentBytes: upload.sizeBytes });
      this.onDone(upload.path);
    } catch (error) {
      if (abort.signal.aborted) return;
      const refusal = error instanceof HubError ? error : errorFromAnswer(0, "");
      this.#change(id, { state: refusal.code === "exists" ? "exists" : "failed", error: refusal });
    } finally {
      if (this.#aborts.get(id) === abort) this.#aborts.delete(id);
      this.#startNext();
    }
  }

  #find(id: number): Upload | undefined {
    return this.#uploads.peek().find((upload) => upload.id === id);
  }

  #change(id: number, change: Partial<Upload>): void {
    this.#uploads.value = this.#uploads.peek().map((upload) => (upload.id === id ? { ...upload, ...change } : upload));
  }
}

/** Sends through XMLHttpRequest, because fetch cannot tell how much has left. */
export function sendToProject(projectId: string): SendFile {
  return ({ path, file, replaces }, onProgress, signal) =>
    new Promise((resolve, reject) => {
      const http = new XMLHttpRequest();
      http.open("PUT", apiUrl(`projects/${projectId}/files/${encodePath(path)}`));
      http.setRequestHeader("X-CSRFToken", csrfToken());
      http.setRequestHeader("Content-Type", "application/octet-stream");
      if (!replaces) http.setRequestHeader("If-None-Match", "*");
      http.upload.onprogress = (event) => onProgress(event.loaded);
      http.onload = () => {
        reportReachability(true);
        if (http.status >= 200 && http.status < 300) resolve();
        else reject(errorFromAnswer(http.status, http.responseText));
      };
      http.onerror = () => {
        reportReachability(false);
        reject(errorFromAnswer(0, ""));
      };
      http.onabort = () => reject(new DOMException("Cancelled", "AbortError"));
      signal.addEventListener("abort", () => http.abort(), { once: true });
      http.send(file);
    });
}
