/** The versions of one notebook: what the hub keeps of its past. */

import { effect, type ReadonlySignal } from "@preact/signals";

import { request, requestJson } from "../api/client";
import { HubError } from "../api/errors";
import type { Version, VersionReason } from "../api/types";
import type { JsonObject } from "../crdt/schema";
import { Resource } from "../store/resource";
import { ask } from "../ui/Dialog";
import { toast, toastError } from "../ui/toast";

const MAX_NAME_CHARS = 200;
const PATIENCE_MS = 10_000;
const REASONS: Record<VersionReason, string> = {
  named: "Named",
  run_all: "All cells were run",
  close: "Closed",
  auto: "While it changed",
};

export function titleOfVersion(version: Version): string {
  return version.name || REASONS[version.reason];
}

export class NotebookVersions {
  readonly list: Resource<Version[]>;

  constructor(
    readonly documentId: string,
    /** The notebook as this page has it now. */
    readonly current: () => JsonObject,
    /** A version is made of what the hub has: until this is false the page's last changes would be missing. */
    private readonly hasUnsentEdits: ReadonlySignal<boolean>,
  ) {
    this.list = new Resource(() => requestJson<Version[]>(`documents/${documentId}/versions`));
  }

  content(versionId: string): Promise<JsonObject> {
    return requestJson<JsonObject>(`documents/${this.documentId}/versions/${versionId}/notebook`);
  }

  async save(name: string): Promise<void> {
    await this.#untilSent();
    const version = await requestJson<Version>(`documents/${this.documentId}/versions`, { method: "POST", json: { name } });
    this.list.update((versions) => [version, ...versions]);
  }

  async restore(versionId: string): Promise<void> {
    await this.#untilSent();
    await request(`documents/${this.documentId}/versions/${versionId}/restore`, { method: "POST" });
    await this.list.refresh();
  }

  #untilSent(): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        queueMicrotask(() => stop());
      };
      const timer = setTimeout(() => {
        end();
        reject(new HubError(0, "unreachable", "Your last changes have not reached the hub. Try again when it is back."));
      }, PATIENCE_MS);
      const stop = effect(() => {
        if (this.hasUnsentEdits.value) return;
        end();
        resolve();
      });
    });
  }
}

/** Asks for a name and keeps the notebook as it is now under it. */
export async function nameVersion(versions: NotebookVersions): Promise<void> {
  const name = await ask({
    title: "Name this version",
    label: "Name",
    action: "Keep",
    hint: "Every change is saved by itself. A named version is kept for good, to compare with and to come back to.",
    check: (answer) => (answer.length > MAX_NAME_CHARS ? `At most ${String(MAX_NAME_CHARS)} characters.` : null),
  });
  if (name === null) return;
  try {
    await versions.save(name);
    toast({ kind: "ok", text: `Kept as “${name}”.` });
  } catch (error) {
    toastError(error);
  }
}
