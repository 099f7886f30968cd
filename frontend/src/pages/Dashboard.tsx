import { useEffect } from "preact/hooks";
import type { Project, RecentDocument } from "../api/types";
import { navigate, projectUrl } from "../router";
import { onHubBack } from "../store/connection";
import { formatAgo, formatTime, plural } from "../store/format";
import { registerCommands } from "../store/commands";
import { me, shownName } from "../store/me";
import { nameOf, parentOf } from "../store/paths";
import { kernels, projects, recentDocuments, usage } from "../store/projects";
import { UsageCard } from "./UsageCard";
import { RunningList } from "../panels/RunningList";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Loading } from "../ui/Progress";
import { openNewProject } from "./NewProjectDialog";
import { TopBar } from "./TopBar";

const REFRESH_EVERY_MS = 30_000;

function refreshAll(): void {
  for (const resource of [projects, recentDocuments, kernels, usage]) void resource.refresh();
}

/** What a person finds after signing in: where they were, what runs, and their projects. */
export function Dashboard() {
  useEffect(() => {
    refreshAll();
    const stopWaiting = onHubBack(refreshAll);
    const refreshIfVisible = () => {
      if (document.visibilityState === "visible") refreshAll();
    };
    const timer = setInterval(refreshIfVisible, REFRESH_EVERY_MS);
    document.addEventListener("visibilitychange", refreshIfVisible);
    const unregister = registerCommands([{ id: "dashboard.new-project", title: "New project", group: "Projects", run: () => openNewProject() }]);
    return () => {
      stopWaiting();
      clearInterval(timer);
      document.removeEventListener("visibilitychange", refreshIfVisible);
      unregister();
    };
  }, []);

  const all = projects.data.value;
  const person = me.data.value;
  return (
    <div class="page">
      <TopBar />
      <main id="main" class="dashboard">
        <header class="dashboard-header">
          <h1>{person ? `Hello, ${shownName(person)}` : "Projects"}</h1>
          {all !== null && all.length > 0 && (
            <Button kind="primary" icon="plus" onClick={() => openNewProject()}>
              New project
            </Button>
          )}
        </header>
        {projects.error.value && !all && <p class="inline-error">{projects.error.value.message}</p>}
        {projects.isFirstLoad.value && <Loading />}
        {all?.length === 0 && <NoProjects />}
        {all !== null && all.length > 0 && (
          <div class="dashboard-columns">
            <div class="dashboard-main">
              <Recent documents={recentDocuments.data.value ?? []} />
              <ProjectList all={all} />
            </div>
            <aside class="dashboard-side" aria-label="Running and usage">
              <section class="card">
                <h2>Running now</h2>
                <RunningList showsProject />
              </section>
              <UsageCard quotas={usage.data.value ?? []} />
            </aside>
          </div>
        )}
      </main>
    </div>
  );
}

function NoProjects() {
  return (
    <section class="empty card">
      <Icon name="notebook" size={32} />
      <h2>Start your first project</h2>
      <p>A project holds notebooks, data and the people you work with. What runs in it goes on when you close the page.</p>
      <Button kind="primary" icon="plus" onClick={() => openNewProject()}>
        New project
      </Button>
    </section>
  );
}

function Recent({ documents }: { documents: readonly RecentDocument[] }) {
  if (documents.length === 0) return null;
  return (
    <section>
      <h2 class="section-title">Recently opened</h2>
      <ul class="recent">
        {documents.slice(0, 6).map((document) => (
          <li key={document.id}>
            <a class="recent-item" href={projectUrl(document.project, document.path)}>
              <Icon name="notebook" />
              <span class="recent-name truncate">{nameOf(document.path)}</span>
              <span class="recent-where truncate">{[document.project.name, parentOf(document.path)].filter(Boolean).join(" / ")}</span>
              <time class="recent-when" dateTime={document.last_opened_at} title={formatTime(document.last_opened_at)}>
                {formatAgo(document.last_opened_at)}
              </time>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

const ROLE_TITLES = { owner: "Owner", editor: "Editor", viewer: "Viewer" } as const;

function ProjectList({ all }: { all: readonly Project[] }) {
  const teams = me.data.value?.teams ?? [];
  const teamTitle = (slug: string) => {
    const team = teams.find((candidate) => candidate.slug === slug);
    return team?.is_personal ? "Personal" : (team?.name ?? slug);
  };
  return (
    <section>
      <h2 class="section-title">
        Projects <span class="count">{all.length}</span>
      </h2>
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" class="wide-only">
              Team
            </th>
            <th scope="col">Role</th>
            <th scope="col" class="table-when">
              Opened
            </th>
          </tr>
        </thead>
        <tbody>
          {all.map((project) => (
            <tr key={project.id} onClick={() => navigate(projectUrl(project))}>
              <td>
                <a class="project-name" href={projectUrl(project)} onClick={(event) => event.stopPropagation()}>
                  <Icon name="folder" />
                  <span class="truncate">{project.name}</span>
                </a>
              </td>
              <td class="wide-only muted">{teamTitle(project.team)}</td>
              <td class="muted">{ROLE_TITLES[project.role]}</td>
              <td class="table-when muted" title={formatTime(project.last_opened_at)}>
                {formatAgo(project.last_opened_at)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** "3 kernels running", for the panel's badge. */
export function runningLabel(count: number): string {
  return `${plural(count, "kernel")} running`;
}
