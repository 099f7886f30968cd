/** A refusal because a quota is used up, as the hub explains it. Pure. */

import type { HubError } from "../api/errors";
import type { FrameError } from "../crdt/frames";
import type { Figures } from "./quotas";

/** A kernel that counts, as one chooses which to stop. */
export interface CountedKernel {
  id: string;
  kernelspecName: string;
  state: string;
  projectName: string;
  path: string | null;
  lastActivityAt: string | null;
}

export interface QuotaRefusal {
  message: string;
  figures: Figures;
  kernels: CountedKernel[];
  /** The project that is full, when it is its storage. */
  projectId: string | null;
}

type Fields = Readonly<Record<string, unknown>>;

/** What `error` says of a quota; null when it is about something else. */
export function quotaRefusalOf(error: HubError | FrameError): QuotaRefusal | null {
  const details: Fields = (error as { details?: Fields }).details ?? {};
  const { quota, limit, used, origin } = details;
  if (error.code !== "quota_exceeded" || typeof quota !== "string" || typeof limit !== "number" || typeof used !== "number") return null;
  const listed = Array.isArray(details.kernels) ? (details.kernels as Fields[]) : [];
  return {
    message: error.message,
    figures: { quota, title: "", used, limit, origin: text(origin) ?? "" },
    kernels: listed.map(kernelOf),
    projectId: text(details.project),
  };
}

function kernelOf(fields: Fields): CountedKernel {
  const project = (fields.project ?? {}) as Fields;
  return {
    id: text(fields.id) ?? "",
    kernelspecName: text(fields.kernelspec_name) ?? "",
    state: text(fields.state) ?? "",
    projectName: text(project.name) ?? "",
    path: text(fields.path),
    lastActivityAt: text(fields.last_activity_at),
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
