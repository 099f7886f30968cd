import { requestJson } from "../../api/client";
import { adminUrl, navigate } from "../../router";
import { plural } from "../../store/format";
import { me } from "../../store/me";
import { formatQuantity } from "../../store/quantities";
import { Button } from "../../ui/Button";
import { confirm } from "../../ui/Dialog";
import { DataTable, type Column } from "../../ui/DataTable";
import type { TableFilter } from "../../ui/TableTools";
import { toast, toastError } from "../../ui/toast";
import { openNewPerson } from "./NewPersonDialog";
import { Ago, Badge, NOTHING, PageHead, PersonCell } from "./parts";
import { personMenu } from "./personActions";
import { PersonPage } from "./PersonPage";
import type { AdminPerson, AdminTeam, Outcome } from "./types";
import { useFetched, useList, useTableState, type Listed } from "./useList";

const REFRESH_MS = 15_000;

export function PeoplePage({ item }: { item: string | null }) {
  return item === null ? <PeopleList /> : <PersonPage username={item} />;
}

const COLUMNS: readonly Column<AdminPerson>[] = [
  {
    id: "display_name",
    title: "Name",
    sort: "up",
    width: "22%",
    mediumWidth: "auto",
    render: (person, tabIndex) => <PersonCell person={person} tabIndex={tabIndex} isOnline={person.is_online === true} sub={[person.username, person.is_active === false ? "disabled" : "", person.is_administrator ? "administrator" : ""].filter(Boolean).join(" · ")} />,
  },
  { id: "username", title: "Username", sort: "up", hides: "medium", width: "14%", render: (person) => <span class="muted">{person.username}</span> },
  {
    id: "role",
    title: "Status",
    hides: "small",
    width: "7.25rem",
    render: (person) => (person.is_active === false ? <Badge>Disabled</Badge> : person.is_administrator ? <Badge kind="accent">Administrator</Badge> : null),
  },
  {
    id: "teams",
    title: "Teams",
    hides: "medium",
    render: (person) => {
      const shared = person.teams.filter((team) => !team.is_personal);
      const names = shared.map((team) => (team.role === "admin" ? `${team.name} (admin)` : team.name)).join(", ");
      return names ? <span title={names}>{names}</span> : NOTHING;
    },
  },
  { id: "kernel_count", title: "Kernels", sort: "down", hides: "small", width: "5rem", align: "end", render: (person) => person.kernel_count || NOTHING },
  { id: "memory", title: "Memory", hides: "medium", width: "5.75rem", align: "end", render: (person) => (person.memory_bytes ? formatQuantity(person.memory_bytes, "bytes") : NOTHING) },
  { id: "storage_bytes", title: "Storage", sort: "down", hides: "small", width: "5.75rem", align: "end", render: (person) => (person.storage_bytes ? formatQuantity(person.storage_bytes, "bytes") : NOTHING) },
  { id: "last_seen_at", title: "Last seen", sort: "down", width: "6.5rem", align: "end", render: (person) => <Ago time={person.last_seen_at} /> },
];

const BULK = {
  disable: { title: "Disable", text: "They are signed out at once and cannot sign in again until you enable them. What runs goes on; what they wrote stays.", done: "disabled" },
  enable: { title: "Enable", text: "They can sign in again.", done: "enabled" },
  sign_out: { title: "Sign out", text: "All their sign-ins end. Their tokens and kernels stay.", done: "signed out" },
  stop_kernels: { title: "Stop kernels of", text: "What they run ends and variables are lost; notebooks and outputs stay.", done: "without kernels now" },
} as const;

function PeopleList() {
  const isHub = me.data.value?.administers === "hub";
  const [state, setState] = useTableState(["state", "team"]);
  const people = useList<AdminPerson>("admin/people", state, { everyMs: REFRESH_MS });
  const teams = useFetched<Listed<AdminTeam>>("admin/teams?limit=200&personal=0");
  const refresh = () => void people.refresh();

  const stateFilter: TableFilter = {
    id: "state",
    label: "State",
    any: "Everyone",
    options: [
      { value: "online", title: "Online" },
      { value: "active", title: "Active" },
      { value: "disabled", title: "Disabled" },
      { value: "administrator", title: "Administrators" },
    ],
  };
  const filters: TableFilter[] = [
    ...(isHub ? [stateFilter] : []),
    { id: "team", label: "Team", any: "Any team", options: (teams.data?.items ?? []).map((team) => ({ value: team.slug, title: team.name })) },
  ];

  const act = async (action: keyof typeof BULK, usernames: readonly string[], clear: () => void) => {
    const words = BULK[action];
    const isSure = await confirm({ title: `${words.title} ${plural(usernames.length, "person", "people")}?`, text: words.text, action: words.title.replace(" of", ""), danger: action !== "enable" });
    if (!isSure) return;
    try {
      const answer = await requestJson<{ done: string[] } & Outcome<"username">>("admin/people/bulk", { method: "POST", json: { usernames, action } });
      const [failure] = answer.failed;
      const done = `${plural(answer.done.length, "person is", "people are")} ${words.done}.`;
      if (failure) toast({ kind: "error", text: `${done} Not ${answer.failed.map((one) => one.username).join(", ")}: ${failure.message}` });
      else toast({ kind: "ok", text: done });
      clear();
    } catch (refusal) {
      toastError(refusal);
    }
    await people.refresh();
  };

  return (
    <div class="admin-content">
      <PageHead title="People">
        <a class="button button-plain" href={adminUrl("invitations")}>
          Invite
        </a>
        {isHub && (
          <Button kind="primary" icon="plus" onClick={() => openNewPerson(teams.data?.items ?? [], refresh)}>
            New person
          </Button>
        )}
      </PageHead>
      <DataTable
        label="People"
        nouns={["person", "people"]}
        columns={COLUMNS}
        rows={people.rows}
        total={people.total}
        state={state}
        onState={setState}
        idOf={(person) => person.username}
        nameOf={(person) => person.display_name || person.username}
        onOpen={(person) => navigate(adminUrl("people", person.username))}
        menuOf={isHub ? (person) => personMenu(person, refresh) : undefined}
        error={people.error}
        onRetry={refresh}
        filters={filters}
        searchHint="Name, username, email"
        bulk={
          isHub
            ? (usernames, clear) => (
                <>
                  <Button onClick={() => act("stop_kernels", usernames, clear)}>Stop kernels</Button>
                  <Button onClick={() => act("sign_out", usernames, clear)}>Sign out</Button>
                  <Button onClick={() => act("enable", usernames, clear)}>Enable</Button>
                  <Button kind="danger" onClick={() => act("disable", usernames, clear)}>
                    Disable
                  </Button>
                </>
              )
            : undefined
        }
        empty={<p>Nobody is here yet.</p>}
      />
    </div>
  );
}
