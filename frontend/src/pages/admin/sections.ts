import type { FunctionComponent } from "preact";
import type { IconName } from "../../ui/Icon";
import { AnnouncementsPage } from "./AnnouncementsPage";
import { AuditPage } from "./AuditPage";
import { InvitationsPage } from "./InvitationsPage";
import { KernelsPage } from "./KernelsPage";
import { NodesPage } from "./NodesPage";
import { OverviewPage } from "./OverviewPage";
import { PeoplePage } from "./PeoplePage";
import { QuotasPage } from "./QuotasPage";
import { TeamsPage } from "./TeamsPage";

export interface Section {
  id: string;
  title: string;
  icon: IconName;
  /** A thing of its list has a page of its own: `/admin/people/alice`. */
  hasItems: boolean;
  /** Only administrators of the hub, not those of a team. */
  isHubOnly: boolean;
  page: FunctionComponent<{ item: string | null }>;
}

const SECTIONS: readonly Section[] = [
  { id: "overview", title: "Overview", icon: "pulse", hasItems: false, isHubOnly: false, page: OverviewPage },
  { id: "people", title: "People", icon: "user", hasItems: true, isHubOnly: false, page: PeoplePage },
  { id: "teams", title: "Teams", icon: "people", hasItems: true, isHubOnly: false, page: TeamsPage },
  { id: "quotas", title: "Quotas", icon: "gauge", hasItems: false, isHubOnly: true, page: QuotasPage },
  { id: "kernels", title: "Kernels", icon: "kernel", hasItems: false, isHubOnly: false, page: KernelsPage },
  { id: "nodes", title: "Nodes", icon: "server", hasItems: false, isHubOnly: true, page: NodesPage },
  { id: "announcements", title: "Announcements", icon: "megaphone", hasItems: false, isHubOnly: true, page: AnnouncementsPage },
  { id: "invitations", title: "Invitations", icon: "mail", hasItems: false, isHubOnly: false, page: InvitationsPage },
  { id: "audit", title: "Audit log", icon: "list", hasItems: false, isHubOnly: false, page: AuditPage },
];

/** The parts this person may see. */
export function sectionsFor(administers: "hub" | "teams" | null): readonly Section[] {
  if (administers === null) return [];
  return administers === "hub" ? SECTIONS : SECTIONS.filter((section) => !section.isHubOnly);
}
