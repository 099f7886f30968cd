import { request, requestJson } from "../api/client";
import type { Team, TeamRole } from "../api/types";
import { me } from "./me";
import { Resource } from "./resource";

export interface TeamMember {
  username: string;
  display_name: string;
  role: TeamRole;
}

export const teams = new Resource<Team[]>(() => requestJson<Team[]>("teams"));

/** Makes a team; its maker administers it. */
export async function createTeam(name: string): Promise<Team> {
  const team = await requestJson<Team>("teams", { method: "POST", json: { name } });
  await me.refresh();
  teams.update((all) => [...all, team]);
  return team;
}

export async function renameTeam(slug: string, name: string): Promise<void> {
  await request(`teams/${encodeURIComponent(slug)}`, { method: "PATCH", json: { name } });
  await Promise.all([teams.refresh(), me.refresh()]);
}

export function fetchTeamMembers(slug: string): Promise<TeamMember[]> {
  return requestJson<TeamMember[]>(`teams/${encodeURIComponent(slug)}/members`);
}

export async function setTeamMember(slug: string, username: string, role: TeamRole): Promise<void> {
  await request(`teams/${encodeURIComponent(slug)}/members`, { method: "POST", json: { username, role } });
}

export async function removeTeamMember(slug: string, username: string): Promise<void> {
  await request(`teams/${encodeURIComponent(slug)}/members`, { method: "DELETE", query: { username } });
}
