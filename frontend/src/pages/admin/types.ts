/** Shapes of the admin API (docs/reference/admin-api.md): those of its OpenAPI, with closed sets where that says only "string". */

import type { KernelState, Refined, Schemas, TeamRole } from "../../api/types";

export type NamedPerson = Schemas["OwnerOut"];
export type HubWarning = Refined<Schemas["WarningOut"], { level: "warning" | "error" }>;
export type HubNode = Refined<Schemas["AdminNodeOut"], { state: "up" | "draining" | "lost" }>;
export type Overview = Refined<
  Schemas["OverviewOut"],
  { nodes: readonly HubNode[]; warnings: readonly HubWarning[]; kernels: { total: number; by_state: Readonly<Partial<Record<KernelState, number>>> } }
>;

export type AdminKernel = Refined<Schemas["AdminKernelOut"], { state: KernelState }>;
export type TeamOfPerson = Refined<Schemas["PersonTeamOut"], { role: TeamRole }>;
export type AdminPerson = Refined<Schemas["PersonOut"], { teams: readonly TeamOfPerson[] }>;
export type SignIn = Schemas["SignInOut"];
export type PersonDetail = Refined<Schemas["PersonDetailOut"], { teams: readonly TeamOfPerson[]; kernels: readonly AdminKernel[] }>;
export type OneTimeLink = Schemas["LinkOut"];

export type TeamMember = Refined<Schemas["AdminMemberOut"], { role: TeamRole }>;
export type AdminTeam = Schemas["AdminTeamOut"];
export type TeamDetail = Refined<Schemas["TeamDetailOut"], { members: readonly TeamMember[] }>;

export type AnnouncementLevel = "info" | "warning" | "urgent";
export type AdminAnnouncement = Refined<Schemas["AdminAnnouncementOut"], { level: AnnouncementLevel }>;
export type AuditEvent = Schemas["AuditEventOut"];

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
