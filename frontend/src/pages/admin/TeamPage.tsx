import { useState } from "preact/hooks";
import { request, requestJson } from "../../api/client";
import { messageOf } from "../../api/errors";
import { adminUrl, navigate, projectUrl } from "../../router";
import { plural } from "../../store/format";
import { me } from "../../store/me";
import { formatQuantity } from "../../store/quantities";
import { Button } from "../../ui/Button";
import { ask, Dialog, Field } from "../../ui/Dialog";
import { showLayer } from "../../ui/layers";
import { openMenu } from "../../ui/Menu";
import { Loading } from "../../ui/Progress";
import { toast, toastError } from "../../ui/toast";
import { TypeToConfirm } from "../../ui/TypeToConfirm";
import { TeamMembers } from "../teams/TeamMembers";
import { Ago, Facts, Failed, NOTHING, PageHead, Section } from "./parts";
import { QuotaEditor } from "./QuotaEditor";
import { TeamPlacement } from "./TeamPlacement";
import type { AdminTeam, TeamDetail } from "./types";
import { useFetched, type Listed } from "./useList";

const REFRESH_MS = 15_000;

/** Everything about one team: its people, projects and quotas. */
export function TeamPage({ slug }: { slug: string }) {
  const path = `admin/teams/${encodeURIComponent(slug)}`;
  const fetched = useFetched<TeamDetail>(path, REFRESH_MS);
  const isHub = me.data.value?.administers === "hub";
  const team = fetched.data;
  const refresh = () => fetched.refresh();
  if (team === null) return fetched.error ? <Failed error={fetched.error} onRetry={() => void refresh()} /> : <Loading />;

  const rename = async () => {
    const name = await ask({ title: "Rename the team", label: "Name", initial: team.name, action: "Rename", hint: "Addresses of its projects stay as they are." });
    if (name === null) return;
    await requestJson<TeamDetail>(path, { method: "PATCH", json: { name, version: team.version } }).then(fetched.set, toastError);
  };

  return (
    <div class="admin-content">
      <PageHead back={{ section: "teams", title: "Teams" }} title={team.name}>
        <Button icon="rename" onClick={rename}>
          Rename
        </Button>
        <Button
          icon="more"
          aria-haspopup="menu"
          onClick={(event) =>
            openMenu(
              event.currentTarget,
              [
                { label: "Kernels", icon: "kernel", run: () => navigate(adminUrl("kernels", null, `team=${encodeURIComponent(slug)}`)) },
                { label: "Invitations", icon: "mail", run: () => navigate(adminUrl("invitations", null, `team=${encodeURIComponent(slug)}`)) },
                { label: "What happened", icon: "list", run: () => navigate(adminUrl("audit", null, `team=${encodeURIComponent(slug)}`)) },
                ...(isHub && !team.is_personal ? (["separator", { label: "Delete…", icon: "trash", danger: true, run: () => openDeleteTeam(team) }] as const) : []),
              ],
              team.name,
            )
          }
        >
          More
        </Button>
      </PageHead>
      <Facts
        facts={[
          ["Address", <code key="slug">{team.slug}</code>],
          ["Members", team.member_count],
          ["Projects", team.project_count],
          ["Kernels", team.kernel_count],
          ["Memory", team.memory_bytes === null ? NOTHING : formatQuantity(team.memory_bytes, "bytes")],
          ["Storage", team.storage_bytes === null ? NOTHING : formatQuantity(team.storage_bytes, "bytes")],
          ["Made", <Ago key="made" time={team.created_at} />],
        ]}
      />
      <div class="admin-columns">
        <Section title={`Members (${String(team.members.length)})`}>
          <TeamMembers
            teamName={team.name}
            members={team.members}
            canChange
            onSet={(username, role) => request(`${path}/members`, { method: "POST", json: { username, role } }).then(refresh)}
            onRemove={(username) => request(`${path}/members`, { method: "DELETE", query: { username } }).then(refresh)}
            onQuotas={(member) => openMemberQuotas(team, member.username)}
          />
        </Section>
        <Section title={`Projects (${String(team.projects.length)})`}>
          {team.projects.length === 0 ? (
            <p class="muted">There is no project yet.</p>
          ) : (
            <ul class="plain-rows">
              {team.projects.map((project) => (
                <li key={project.id}>
                  <a class="truncate" href={projectUrl({ team: team.slug, slug: project.slug })}>
                    {project.name}
                  </a>
                  <span class="muted">
                    {plural(project.member_count, "member")}
                    {project.kernel_count > 0 && `, ${plural(project.kernel_count, "kernel")}`}
                  </span>
                </li>
              ))}
            </ul>
          )}
        </Section>
      </div>
      <Section title="Quotas" note={isHub ? "What is set here counts for the team’s projects, before what the site says." : "Within what the hub’s administrators gave the team you can ask for less."}>
        <QuotaEditor path={`${path}/quotas`} />
      </Section>
      {isHub && (
        <Section title="Placement" note="On which nodes what the team starts may run.">
          <TeamPlacement path={`${path}/placement`} />
        </Section>
      )}
    </div>
  );
}

/** The limits of one member in the team's projects: within what the team has. */
function openMemberQuotas(team: TeamDetail, username: string): void {
  const hide = showLayer(
    <Dialog title={`${username} in ${team.name}`} size="large" onClose={() => hide()}>
      <p class="muted">These count only in projects of the team, and only narrow what the team and the person have.</p>
      <QuotaEditor path={`admin/teams/${encodeURIComponent(team.slug)}/people/${encodeURIComponent(username)}/quotas`} isNested />
    </Dialog>,
  );
}

function openDeleteTeam(team: TeamDetail): void {
  const hide = showLayer(<DeleteTeamDialog team={team} onClose={() => hide()} />);
}

function DeleteTeamDialog({ team, onClose }: { team: TeamDetail; onClose: () => void }) {
  const teams = useFetched<Listed<AdminTeam>>("admin/teams?limit=200&personal=0");
  const [moves, setMoves] = useState(false);
  const [to, setTo] = useState("");
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const others = (teams.data?.items ?? []).filter((each) => each.slug !== team.slug);

  const remove = async () => {
    if (moves && to === "") {
      setError("Choose the team that gets the projects.");
      return;
    }
    if (typed.trim() !== team.slug) {
      setError(`Type ${team.slug} to delete the team.`);
      return;
    }
    setBusy(true);
    try {
      await request(`admin/teams/${encodeURIComponent(team.slug)}`, { method: "DELETE", query: moves ? { projects: "move", to } : { projects: "trash" } });
      onClose();
      toast({ kind: "ok", text: `${team.name} is deleted.` });
      navigate(adminUrl("teams"), { replace: true });
    } catch (refusal) {
      setError(messageOf(refusal));
      setBusy(false);
    }
  };

  return (
    <Dialog
      title={`Delete ${team.name}?`}
      size="medium"
      onClose={onClose}
      onSubmit={remove}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="danger" busy={isBusy}>
            Delete team
          </Button>
        </>
      }
    >
      <p>What runs in its {plural(team.project_count, "project")} ends. The accounts of its {plural(team.member_count, "member")} stay.</p>
      <fieldset class="checks">
        <legend>Its projects</legend>
        <label class="check">
          <input type="radio" name="team-projects" checked={!moves} onChange={() => setMoves(false)} />
          <span>Go to the trash for 30 days</span>
        </label>
        <label class="check">
          <input type="radio" name="team-projects" checked={moves} onChange={() => setMoves(true)} />
          <span>Go to another team; their addresses change</span>
        </label>
      </fieldset>
      {moves && (
        <Field label="The team that gets them">
          {(attributes) => (
            <select {...attributes} class="input" value={to} onChange={(event) => setTo(event.currentTarget.value)}>
              <option value="">Choose a team…</option>
              {others.map((each) => (
                <option key={each.slug} value={each.slug}>
                  {each.name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <TypeToConfirm
        word={team.slug}
        typed={typed}
        error={error}
        onTyped={(text) => {
          setTyped(text);
          setError(null);
        }}
      />
    </Dialog>
  );
}
