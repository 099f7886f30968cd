/**
 * Shapes of the hub API for the app: those generated from its OpenAPI (schema.d.ts), with closed sets where the schema
 * says only "string". A field that the API renames or drops fails to compile here.
 */

import type { components } from "./schema";

export type Schemas = components["schemas"];

/** `Base` with some of its fields told more exactly; a field that `Base` does not have is an error. */
export type Refined<Base, Changes extends Partial<Record<keyof Base, unknown>>> = Omit<Base, keyof Changes> & Changes;

export type Role = "viewer" | "editor" | "owner";
export type TeamRole = "member" | "admin";
export type Theme = "system" | "light" | "dark";
export type EntryType = "file" | "folder" | "notebook";
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

export type Team = Refined<Schemas["TeamOut"], { role: TeamRole }>;
export type Me = Refined<Schemas["MeOut"], { theme: Theme; teams: Team[] }>;
export type LoginSession = Schemas["LoginSessionOut"];
export type ApiToken = Schemas["TokenOut"];
export type CreatedToken = Schemas["NewTokenOut"];

export type ProjectReference = Schemas["ProjectReference"];
export type Project = Refined<Schemas["ProjectOut"], { role: Role }>;
export type Member = Refined<Schemas["MemberOut"], { role: Role }>;
export type RecentDocument = Schemas["RecentDocumentOut"];

export type Entry = Refined<Schemas["EntryOut"], { type: EntryType }>;
export type Folder = Refined<Schemas["FolderOut"], { type: "folder"; entries: Entry[] }>;
export type TrashEntry = Schemas["TrashOut"];

export type VersionReason = "auto" | "run_all" | "close" | "named";
export type Version = Refined<Schemas["VersionOut"], { reason: VersionReason }>;

export type Kernel = Refined<Schemas["KernelOut"], { state: KernelState }>;
export type Kernelspec = Schemas["KernelspecOut"];
export type Usage = Schemas["QuotaOut"];
export type ProjectUse = Schemas["ProjectUseOut"];
export type DayUse = Schemas["DayUseOut"];

/** What `POST projects/{id}/documents` answers. */
export type OpenedDocument = Refined<Schemas["OpenedDocumentOut"], { role: Role }>;
