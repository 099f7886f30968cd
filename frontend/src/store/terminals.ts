import { request, requestJson } from "../api/client";
import { Resource } from "./resource";

export interface Terminal {
  name: string;
  started_at: string;
  last_activity_at: string;
  user: string | null;
  node: string;
}

const known = new Map<string, Resource<Terminal[]>>();

/** The live terminals of a project, as last fetched. */
export function terminalsOf(projectId: string): Resource<Terminal[]> {
  let terminals = known.get(projectId);
  if (!terminals) {
    terminals = new Resource<Terminal[]>(() => requestJson<Terminal[]>(`projects/${projectId}/terminals`));
    known.set(projectId, terminals);
  }
  return terminals;
}

export async function startTerminal(projectId: string, folder: string): Promise<Terminal> {
  const started = await requestJson<Terminal>(`projects/${projectId}/terminals`, { method: "POST", json: { cwd: folder } });
  terminalsOf(projectId).update((all) => [...all.filter((terminal) => terminal.name !== started.name), started]);
  return started;
}

export async function stopTerminal(projectId: string, name: string): Promise<void> {
  await request(`projects/${projectId}/terminals/${encodeURIComponent(name)}`, { method: "DELETE" });
  terminalsOf(projectId).update((all) => all.filter((terminal) => terminal.name !== name));
}
