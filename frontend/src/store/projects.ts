import { requestJson, request } from "../api/client";
import type { Kernel, Member, Project, RecentDocument, Role, Usage } from "../api/types";
import { Resource } from "./resource";

export const projects = new Resource<Project[]>(() => requestJson<Project[]>("projects"));
export const recentDocuments = new Resource<RecentDocument[]>(() => requestJson<RecentDocument[]>("me/documents"));
export const kernels = new Resource<Kernel[]>(() => requestJson<Kernel[]>("kernels"));
export const usage = new Resource<Usage[]>(() => requestJson<Usage[]>("usage"));

export async function createProject(name: string, team?: string): Promise<Project> {
  const project = await requestJson<Project>("projects", { method: "POST", json: team ? { name, team } : { name } });
  projects.update((all) => [project, ...all]);
  return project;
}

export async function changeProject(id: string, change: { name?: string; allows_hidden_files?: boolean }): Promise<Project> {
  const changed = await requestJson<Project>(`projects/${id}`, { method: "PATCH", json: change });
  projects.update((all) => all.map((project) => (project.id === id ? changed : project)));
  return changed;
}

export async function deleteProject(id: string): Promise<void> {
  await request(`projects/${id}`, { method: "DELETE" });
  projects.update((all) => all.filter((project) => project.id !== id));
}

export function fetchMembers(projectId: string): Promise<Member[]> {
  return requestJson<Member[]>(`projects/${projectId}/members`);
}

export async function setMember(projectId: string, username: string, role: Role): Promise<void> {
  await request(`projects/${projectId}/members`, { method: "POST", json: { username, role } });
}

export async function removeMember(projectId: string, username: string): Promise<void> {
  await request(`projects/${projectId}/members`, { method: "DELETE", query: { username } });
}

/** The project counts as the storage of whoever asks from now on. */
export async function takeOverStorage(projectId: string): Promise<void> {
  await request(`projects/${projectId}`, { method: "PATCH", json: { holds_storage: true } });
}

/** Asks the kernel to stop; the list follows from the hub. */
export async function stopKernel(id: string): Promise<void> {
  await request(`kernels/${id}`, { method: "DELETE" });
  kernels.update((all) => all.map((kernel) => (kernel.id === id ? { ...kernel, state: "stopping" } : kernel)));
}

export function canEdit(project: { role: Role }): boolean {
  return project.role !== "viewer";
}
