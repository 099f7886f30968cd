/** Shapes of the admin API, docs/reference/admin-api.md. */

import type { KernelState, ProjectReference, TeamRole } from "../../api/types";

export interface NamedPerson {
  username: string;
  display_name: string;
}

export interface HubNode {
  id: string;
  state: "up" | "draining" | "lost";
  provisioner: string | null;
  labels: Readonly<Record<string, string>>;
  kernelspecs: readonly string[];
  kernel_count: number;
  slot_count: number | null;
  memory_total_bytes: number | null;
  memory_used_bytes: number | null;
  memory_reserved_bytes: number | null;
  cpu_total: number | null;
  cpu_used: number | null;
  registered_at: string;
  last_seen_at: string;
  warnings: readonly string[];
  is_demo: boolean;
}

export interface HubWarning {
  code: string;
  level: "warning" | "error";
  message: string;
  subject: { kind: string; id: string } | null;
}

export interface Overview {
  people: { total: number; online: number; disabled: number };
  teams: number;
  projects: number;
  kernels: { total: number; by_state: Readonly<Partial<Record<KernelState, number>>> };
  queue: { length: number; oldest_wait_s: number | null };
  nodes: readonly HubNode[];
  warnings: readonly HubWarning[];
}

export interface TeamOfPerson {
  slug: string;
  name: string;
  role: TeamRole;
  is_personal: boolean;
}

export interface AdminPerson extends NamedPerson {
  email: string | null;
  is_administrator: boolean;
  is_active: boolean;
  is_online: boolean;
  teams: readonly TeamOfPerson[];
  kernel_count: number;
  memory_bytes: number | null;
  storage_bytes: number | null;
  last_seen_at: string | null;
  created_at: string;
  version: number | string;
}

export interface SignIn {
  at: string;
  address: string | null;
  user_agent: string;
  is_open: boolean;
  last_seen_at: string | null;
}

export interface PersonDetail extends AdminPerson {
  kernels: readonly AdminKernel[];
  projects: readonly (ProjectReference & { role: string; owner_count: number; member_count: number })[];
  sign_ins: readonly SignIn[];
  token_count: number;
}

export interface OneTimeLink {
  url: string;
  expires_at: string;
}

export interface AdminKernel {
  id: string;
  kernelspec_name: string;
  state: KernelState;
  reason: string | null;
  owner: NamedPerson | null;
  team: string;
  project: ProjectReference;
  document: { id: string; path: string } | null;
  node: string | null;
  memory_bytes: number | null;
  memory_limit_bytes: number | null;
  cpu_cores: number | null;
  cpu_limit_cores: number | null;
  created_at: string;
  last_activity_at: string | null;
  idle_since: string | null;
  queue_position: number | null;
}

export interface AdminTeam {
  slug: string;
  name: string;
  is_personal: boolean;
  member_count: number;
  administrator_count: number;
  project_count: number;
  kernel_count: number;
  memory_bytes: number | null;
  storage_bytes: number | null;
  created_at: string;
  version: number | string;
}

export interface TeamMember extends NamedPerson {
  role: TeamRole;
  is_active: boolean;
  joined_at: string;
}

export interface TeamDetail extends AdminTeam {
  members: readonly TeamMember[];
  projects: readonly { id: string; slug: string; name: string; member_count: number; kernel_count: number; last_opened_at: string | null }[];
}

export type AnnouncementLevel = "info" | "warning" | "urgent";

export interface AdminAnnouncement {
  id: number | string;
  text: string;
  level: AnnouncementLevel;
  starts_at: string;
  ends_at: string | null;
  is_current: boolean;
  created_by: string | null;
  created_at: string;
  version: number | string;
}

export interface AuditEvent {
  id: number | string;
  at: string;
  actor: string | null;
  acting_administrator: string | null;
  action: string;
  target: { kind: string; id: string; name: string | null } | null;
  team: string | null;
  details: Readonly<Record<string, unknown>>;
  address: string | null;
}

export interface Invitation {
  id: number | string;
  team: string | null;
  team_name: string | null;
  role: TeamRole;
  username: string;
  display_name: string;
  email: string;
  note: string;
  max_uses: number;
  use_count: number;
  expires_at: string;
  state: "open" | "used" | "expired" | "revoked";
  created_by: string | null;
  created_at: string;
  url: string | null;
}

/** What came of an action on several. */
export interface Outcome<Id extends string> {
  failed: readonly ({ code: string; message: string } & Record<Id, string>)[];
}
