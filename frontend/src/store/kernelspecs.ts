import { requestJson } from "../api/client";
import type { Kernelspec } from "../api/types";
import { Resource } from "./resource";

const known = new Map<string, Resource<Kernelspec[]>>();

/** The kernels one can start in a project; asked for when it opens, and again when somebody chooses one. */
export function kernelspecsOf(projectId: string): Resource<Kernelspec[]> {
  let kernelspecs = known.get(projectId);
  if (!kernelspecs) {
    kernelspecs = new Resource<Kernelspec[]>(() => requestJson<Kernelspec[]>("kernelspecs", { query: { project: projectId } }));
    known.set(projectId, kernelspecs);
  }
  return kernelspecs;
}
