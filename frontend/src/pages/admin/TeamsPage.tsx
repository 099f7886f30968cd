import { requestJson } from "../../api/client";
import { adminUrl, navigate } from "../../router";
import { me } from "../../store/me";
import { formatQuantity } from "../../store/quantities";
import { Button } from "../../ui/Button";
import { ask } from "../../ui/Dialog";
import { DataTable, type Column } from "../../ui/DataTable";
import { toast, toastError } from "../../ui/toast";
import { Ago, NOTHING, PageHead } from "./parts";
import { TeamPage } from "./TeamPage";
import type { AdminTeam, TeamDetail } from "./types";
import { useList, useTableState } from "./useList";

const REFRESH_MS = 30_000;

export function TeamsPage({ item }: { item: string | null }) {
  return item === null ? <TeamList /> : <TeamPage slug={item} />;
}

const COLUMNS: readonly Column<AdminTeam>[] = [
  {
    id: "name",
    title: "Name",
    sort: "up",
    width: "30%",
    smallWidth: "auto",
    render: (team, tabIndex) => (
      <>
        <a class="cell-main" href={adminUrl("teams", team.slug)} tabIndex={tabIndex}>
          {team.name}
        </a>
        <span class="cell-sub">{team.slug}</span>
      </>
    ),
  },
  { id: "slug", title: "Address", sort: "up", hides: "small", render: (team) => <span class="muted">{team.slug}</span> },
  { id: "member_count", title: "Members", sort: "down", width: "6rem", align: "end", render: (team) => team.member_count },
  { id: "administrator_count", title: "Admins", hides: "medium", width: "5.5rem", align: "end", render: (team) => team.administrator_count || NOTHING },
  { id: "project_count", title: "Projects", sort: "down", hides: "small", width: "6rem", align: "end", render: (team) => team.project_count || NOTHING },
  { id: "kernel_count", title: "Kernels", sort: "down", width: "6rem", align: "end", render: (team) => team.kernel_count || NOTHING },
  { id: "memory", title: "Memory", hides: "medium", width: "6.5rem", align: "end", render: (team) => (team.memory_bytes ? formatQuantity(team.memory_bytes, "bytes") : NOTHING) },
  { id: "storage", title: "Storage", hides: "small", width: "6.5rem", align: "end", render: (team) => (team.storage_bytes === null ? NOTHING : formatQuantity(team.storage_bytes, "bytes")) },
  { id: "created_at", title: "Made", sort: "down", hides: "medium", width: "6.5rem", align: "end", render: (team) => <Ago time={team.created_at} /> },
];

function TeamList() {
  const isHub = me.data.value?.administers === "hub";
  const [state, setState] = useTableState([]);
  const teams = useList<AdminTeam>("admin/teams", state, { everyMs: REFRESH_MS });

  const create = async () => {
    const name = await ask({ title: "New team", label: "Name", action: "Create team", hint: "Projects of the team have addresses that begin with it. You become its first administrator." });
    if (name === null) return;
    try {
      const made = await requestJson<TeamDetail>("admin/teams", { method: "POST", json: { name } });
      toast({ kind: "ok", text: `${made.name} is there. Add its members.` });
      navigate(adminUrl("teams", made.slug));
    } catch (refusal) {
      toastError(refusal);
    }
  };

  return (
    <div class="admin-content">
      <PageHead title="Teams">
        {isHub && (
          <Button kind="primary" icon="plus" onClick={create}>
            New team
          </Button>
        )}
      </PageHead>
      <DataTable
        label="Teams"
        nouns={["team", "teams"]}
        columns={COLUMNS}
        rows={teams.rows}
        total={teams.total}
        state={state}
        onState={setState}
        idOf={(team) => team.slug}
        nameOf={(team) => team.name}
        onOpen={(team) => navigate(adminUrl("teams", team.slug))}
        error={teams.error}
        onRetry={() => void teams.refresh()}
        searchHint="Name or address"
        empty={<p>There is no shared team yet. Everybody has a team of their own; a shared one lets people own projects together.</p>}
      />
    </div>
  );
}
