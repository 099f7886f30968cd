import { signal, type ReadonlySignal } from "@preact/signals";
import { encodePath, request } from "../api/client";
import { HubError } from "../api/errors";
import { decodeText, encodeText, type TextForm } from "./textBytes";

/** Larger texts make the editor slow; they can be downloaded. */
export const MOST_TEXT_BYTES = 5_000_000;

export type TextPhase =
  | { kind: "loading" }
  | { kind: "ready" }
  | { kind: "failed"; error: HubError }
  /** It cannot be edited as text. */
  | { kind: "unfit"; why: "binary" | "large"; sizeBytes: number };

/** Someone else saved first: what the hub did with this version. */
export interface StaleSave {
  /** Where the refused version was put, beside the file. */
  keptAs: string | null;
  /** The version that is in the file now. */
  etag: string | null;
}

export type SaveOutcome = { kind: "saved" } | { kind: "stale"; stale: StaleSave } | { kind: "failed"; error: HubError };

/** One text file: its bytes as last seen on the hub, and conditional saves. */
export class TextFile {
  readonly #phase = signal<TextPhase>({ kind: "loading" });
  readonly phase: ReadonlySignal<TextPhase> = this.#phase;
  /** The text as it was loaded or last saved. */
  savedText = "";
  #etag: string | null = null;
  #form: TextForm = { hasBom: false, lineBreak: "\n" };

  constructor(
    readonly projectId: string,
    readonly path: string,
  ) {}

  get etag(): string | null {
    return this.#etag;
  }

  get lineBreak(): "\n" | "\r\n" {
    return this.#form.lineBreak;
  }

  /** Fetches the file. True if the text is another than the one known before. */
  async load(signal?: AbortSignal): Promise<boolean> {
    try {
      const answer = await request(this.#api(), { headers: { Accept: "*/*" }, signal });
      const sizeBytes = Number(answer.headers.get("Content-Length") ?? 0);
      if (sizeBytes > MOST_TEXT_BYTES) {
        await answer.body?.cancel();
        this.#phase.value = { kind: "unfit", why: "large", sizeBytes };
        return false;
      }
      const bytes = new Uint8Array(await answer.arrayBuffer());
      const decoded = bytes.length > MOST_TEXT_BYTES ? null : decodeText(bytes);
      if (!decoded) {
        this.#phase.value = { kind: "unfit", why: bytes.length > MOST_TEXT_BYTES ? "large" : "binary", sizeBytes: bytes.length };
        return false;
      }
      const isNew = decoded.text !== this.savedText;
      this.savedText = decoded.text;
      this.#form = decoded.form;
      this.#etag = bareEtag(answer.headers.get("ETag"));
      this.#phase.value = { kind: "ready" };
      return isNew;
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      // A text that is open stays open when the hub is away.
      if (this.#phase.peek().kind !== "ready" || error.status === 404) this.#phase.value = { kind: "failed", error };
      return false;
    }
  }

  /** Writes the text if the file is still the one that was loaded; `over` names another version to replace instead. */
  async save(text: string, over: string | null = this.#etag): Promise<SaveOutcome> {
    try {
      const answer = await request(this.#api(), {
        method: "PUT",
        body: encodeText(text, this.#form),
        headers: { "Content-Type": "application/octet-stream", ...(over === null ? {} : { "If-Match": `"${over}"` }) },
      });
      const etag = bareEtag(answer.headers.get("ETag")) ?? etagIn(await answer.json().catch(() => null));
      this.savedText = text;
      this.#etag = etag;
      return { kind: "saved" };
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      if (error.code !== "stale") return { kind: "failed", error };
      const { etag, kept_as: keptAs } = error.details;
      return { kind: "stale", stale: { keptAs: typeof keptAs === "string" ? keptAs : null, etag: typeof etag === "string" ? bareEtag(etag) : null } };
    }
  }

  #api(): string {
    return `projects/${this.projectId}/files/${encodePath(this.path)}`;
  }
}

/** `W/"abc"` and `"abc"` → `abc`: a proxy that compresses makes entity tags weak. */
export function bareEtag(header: string | null): string | null {
  return header?.replace(/^W\//, "").replace(/^"|"$/g, "") ?? null;
}

function etagIn(answer: unknown): string | null {
  if (typeof answer !== "object" || answer === null) return null;
  const entry = "entry" in answer ? answer.entry : answer;
  return typeof entry === "object" && entry !== null && "etag" in entry && typeof entry.etag === "string" ? bareEtag(entry.etag) : null;
}
