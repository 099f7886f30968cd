/** Shapes of the hub API by hand, for names that are used all over the app (docs/reference/hub-api.md). */

export type Role = "viewer" | "editor" | "owner";
export type TeamRole = "member" | "admin";
export type Theme = "system" | "light" | "dark";

export interface Team {
  slug: string;
  name: string;
  role: TeamRole;
  is_personal: boolean;
}

export interface Me {
  username: string;
  display_name: string;
  email: string;
  is_staff: boolean;
  theme: Theme;
  teams: Team[];
  scopes: string[] | null;
}

export interface LoginSession {
  id: number;
  is_current: boolean;
  address: string | null;
  user_agent: string;
  last_seen_at: string | null;
  created_at: string;
}

export interface ApiToken {
  id: number;
  name: string;
  prefix: string;
  scopes: string[];
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface CreatedToken extends ApiToken {
  token: string;
}

export interface ProjectReference {
  id: string;
  team: string;
  slug: string;
  name: string;
}

export interface Project extends ProjectReference {
  role: Role;
  jupyter_url: string;
  created_at: string;
  last_opened_at: string | null;
  allows_hidden_files: boolean;
}

export interface Member {
  username: string;
  display_name: string;
  role: Role;
}

export interface RecentDocument {
  id: string;
  path: string;
  project: ProjectReference;
  last_opened_at: string;
}

export type EntryType = "file" | "folder" | "notebook";

export interface Entry {
  name: string;
  path: string;
  type: EntryType;
  size: number;
  modified_at: string | null;
  etag: string | null;
}

export interface Folder {
  path: string;
  type: "folder";
  entries: Entry[];
}

export interface TrashEntry {
  id: string;
  path: string;
  is_folder: boolean;
  size: number;
  deleted_by: string | null;
  deleted_at: string;
}

export type KernelState =
  | "pending"
  | "starting"
  | "idle"
  | "busy"
  | "restarting"
  | "stopping"
  | "stopped"
  | "culled"
  | "killed"
  | "died"
  | "failed"
  | "lost";

export interface Kernel {
  id: string;
  kernelspec_name: string;
  state: KernelState;
  reason: string;
  project: ProjectReference;
  document: { id: string; path: string } | null;
  created_at: string;
  last_activity_at: string | null;
  node: string | null;
}

export interface Kernelspec {
  name: string;
  display_name: string;
  language: string;
}

export interface Usage {
  quota: string;
  title: string;
  limit: number | null;
  used: number;
  unit: string;
  origin: string;
}

/** What `POST projects/{id}/documents` answers. */
export interface OpenedDocument {
  id: string;
  path: string;
  epoch: string;
  role: Role;
  project_id: string;
  kernelspec_name: string | null;
}
