import { useEffect, useState } from "preact/hooks";
import { hubUrl } from "../../address";
import { HubError, messageOf } from "../../api/errors";
import type { Team } from "../../api/types";
import { adminUrl, navigate, projectUrl, teamUrl } from "../../router";
import { onHubBack } from "../../store/connection";
import { plural } from "../../store/format";
import { me } from "../../store/me";
import { projects } from "../../store/projects";
import { createTeam, fetchTeamMembers, removeTeamMember, renameTeam, setTeamMember, teams, type TeamMember } from "../../store/teams";
import { Button } from "../../ui/Button";
import { ask } from "../../ui/Dialog";
import { Icon } from "../../ui/Icon";
import { Loading } from "../../ui/Progress";
import { toast, toastError } from "../../ui/toast";
import { ErrorPage, NotFoundPage } from "../ErrorPage";
import { openNewProject } from "../NewProjectDialog";
import { TopBar } from "../TopBar";
import { TeamMembers } from "./TeamMembers";

/** The teams a person is in, or one of them. */
export function MyTeamsPage({ team }: { team: string | null }) {
  useEffect(() => {
    void teams.refresh();
    void projects.refresh();
    return onHubBack(() => void teams.refresh());
  }, []);
  const all = teams.data.value;
  if (all === null) {
    return teams.error.value ? (
      <ErrorPage error={teams.error.value} onRetry={() => void teams.refresh()} />
    ) : (
      <div class="page">
        <TopBar />
        <Loading />
      </div>
    );
  }
  if (team === null) return <TeamCards all={all} />;
  const found = all.find((each) => each.slug === team);
  return found ? <OneTeam key={found.slug} team={found} /> : <NotFoundPage />;
}

function TeamCards({ all }: { all: readonly Team[] }) {
  const shared = all.filter((team) => !team.is_personal);
  const create = async () => {
    const name = await ask({ title: "New team", label: "Name", action: "Create team", hint: "A team owns projects together. You become its administrator and add people." });
    if (name === null) return;
    try {
      navigate(teamUrl((await createTeam(name)).slug));
    } catch (refusal) {
      toastError(refusal);
    }
  };
  return (
    <div class="page">
      <TopBar>
        <span class="top-title">Teams</span>
      </TopBar>
      <main id="main" class="teams-page">
        <header class="dashboard-header">
          <h1>Teams</h1>
          <Button kind="primary" icon="plus" onClick={create}>
            New team
          </Button>
        </header>
        {shared.length === 0 && <p class="muted">You are in no shared team yet. Make one to own projects together, or ask an administrator of a team to add you.</p>}
        <ul class="team-cards" aria-label="My teams">
          {shared.map((team) => (
            <li key={team.slug}>
              <a class="team-card" href={teamUrl(team.slug)}>
                <Icon name="people" />
                <span class="team-card-text">
                  <strong class="truncate">{team.name}</strong>
                  <span class="muted">{team.role === "admin" ? "You administer it" : "Member"}</span>
                </span>
                <span class="muted">{plural(projectsOf(team).length, "project")} of yours</span>
                <Icon name="chevron-right" size={14} />
              </a>
            </li>
          ))}
        </ul>
      </main>
    </div>
  );
}

function projectsOf(team: Team) {
  return (projects.data.value ?? []).filter((project) => project.team === team.slug);
}

function OneTeam({ team }: { team: Team }) {
  const [members, setMembers] = useState<readonly TeamMember[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const isAdmin = team.role === "admin";
  const mine = projectsOf(team);

  const refresh = async () => {
    try {
      setMembers(await fetchTeamMembers(team.slug));
      setError(null);
    } catch (refusal) {
      if (!(refusal instanceof HubError)) throw refusal;
      setError(messageOf(refusal));
    }
  };
  useEffect(() => {
    void refresh();
    document.title = `${team.name} · Zasper Hub`;
  }, []);

  const set = async (username: string, role: TeamMember["role"]) => {
    await setTeamMember(team.slug, username, role);
    await refresh();
    if (username === me.data.peek()?.username) await Promise.all([teams.refresh(), me.refresh()]);
  };
  const remove = async (username: string) => {
    await removeTeamMember(team.slug, username);
    if (username !== me.data.peek()?.username) {
      await refresh();
      return;
    }
    toast({ kind: "ok", text: `You left ${team.name}.` });
    await Promise.all([teams.refresh(), me.refresh()]);
    navigate(hubUrl("/teams"));
  };
  const rename = async () => {
    const name = await ask({ title: "Rename the team", label: "Name", initial: team.name, action: "Rename", hint: "Addresses of its projects stay as they are." });
    if (name !== null) await renameTeam(team.slug, name).catch(toastError);
  };

  return (
    <div class="page">
      <TopBar>
        <span class="top-title">
          <a href={hubUrl("/teams")}>Teams</a>
        </span>
      </TopBar>
      <main id="main" class="teams-page">
        <header class="dashboard-header">
          <h1>{team.name}</h1>
          <div class="team-actions">
            {isAdmin && (
              <>
                <a class="button button-plain" href={adminUrl("teams", team.slug)}>
                  Quotas and more
                </a>
                <Button icon="rename" onClick={rename}>
                  Rename
                </Button>
              </>
            )}
            <Button kind="primary" icon="plus" onClick={() => openNewProject(team.slug)}>
              New project
            </Button>
          </div>
        </header>
        <section aria-label="Members">
          <h2 class="section-title">
            Members {members && <span class="count">{members.length}</span>}
          </h2>
          {error && <p class="inline-error">{error}</p>}
          {members === null ? !error && <Loading /> : <TeamMembers teamName={team.name} members={members} canChange={isAdmin} onSet={set} onRemove={remove} />}
        </section>
        <section aria-label="My projects in it">
          <h2 class="section-title">
            My projects in it <span class="count">{mine.length}</span>
          </h2>
          {mine.length === 0 ? (
            <p class="muted">Projects of the team are seen by whom they are shared with. None is shared with you yet.</p>
          ) : (
            <ul class="team-cards">
              {mine.map((project) => (
                <li key={project.id}>
                  <a class="team-card" href={projectUrl(project)}>
                    <Icon name="folder" />
                    <span class="team-card-text">
                      <strong class="truncate">{project.name}</strong>
                    </span>
                    <span class="muted">{project.role}</span>
                  </a>
                </li>
              ))}
            </ul>
          )}
        </section>
      </main>
    </div>
  );
}
