import { useComputed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { hubUrl } from "../address";
import type { Project } from "../api/types";
import { ActivityBar } from "../panels/ActivityBar";
import { FilesPanel } from "../panels/FilesPanel";
import { OutlinePanel } from "../panels/OutlinePanel";
import { RunningPanel } from "../panels/RunningPanel";
import { StatusBar } from "../panels/StatusBar";
import { TrashPanel } from "../panels/TrashPanel";
import { VersionsPanel } from "../panels/VersionsPanel";
import { navigate, projectUrl } from "../router";
import { CloseCode } from "../socket";
import { announcements } from "../store/announcements";
import { registerCommands } from "../store/commands";
import { onHubBack } from "../store/connection";
import { INITIAL_SIDE_WIDTH_PX, layout, NARROW_PX, showPanel } from "../store/layout";
import { kernelspecsOf } from "../store/kernelspecs";
import { isSignedOut, me } from "../store/me";
import { terminalOf, titleOf } from "../store/paths";
import { canEdit, kernels, projects } from "../store/projects";
import { followProject } from "../store/projectHints";
import { terminalsOf } from "../store/terminals";
import { Button } from "../ui/Button";
import { Split } from "../ui/Split";
import { toast } from "../ui/toast";
import { fileEntries } from "../ui/Palette";
import { openProject, type OpenProject } from "./openProject";
import { projectCommands, quickOpenEntries } from "./projectCommands";
import { openProjectSettings } from "./ProjectSettingsDialog";
import { openShare } from "./ShareDialog";
import { expectContent, TabArea } from "./TabArea";
import { TopBar } from "./TopBar";

/** A project: its files at the side, what is open in tabs, and the state of it all at the bottom. */
export function ProjectPage({ project, path }: { project: Project; path: string | null }) {
  // What the person waits for comes before all else that a project asks for.
  const content = useMemo(() => (path === null ? Promise.resolve() : expectContent(project, path)), [project.id]);
  const work = useMemo(() => openProject(project), [project.id]);
  useProjectLife(work, project, content);

  useEffect(() => {
    // On a phone the panel covers the page: files until one is chosen, then the file.
    const isNarrow = innerWidth < NARROW_PX;
    if (path === null) {
      work.tabs.deactivate();
      if (isNarrow) showPanel("files");
    } else {
      work.tabs.open(path);
      if (terminalOf(path) === null) void work.files.reveal(path);
      if (isNarrow) showPanel(null);
    }
    const name = path === null ? null : titleOf(path);
    document.title = `${name ? `${name} · ` : ""}${project.name} · Zasper Hub`;
  }, [path, project.name]);

  const runningCount = useComputed(() => kernels.data.value?.filter((kernel) => kernel.project.id === project.id).length ?? 0).value;
  const active = work.tabs.tabs.value.find((tab) => tab.path === work.tabs.active.value);
  const { panel, sideWidth } = layout.value;
  const main = <TabArea project={project} work={work} />;

  return (
    <div class="page project-page">
      <TopBar
        actions={
          <Button kind="plain" icon="people" class="share-button" onClick={() => openShare(project)}>
            Share
          </Button>
        }
      >
        <h1 class="project-title truncate">
          <a href={projectUrl(project)}>{project.name}</a>
        </h1>
      </TopBar>
      <div class="project-body">
        <ActivityBar runningCount={runningCount} onSettings={() => openProjectSettings(project)} />
        <main id="main" class="project-main">
          {panel === null ? (
            <div class="split-main">{main}</div>
          ) : (
            <Split
              label="Width of the side panel"
              width={sideWidth}
              initialWidth={INITIAL_SIDE_WIDTH_PX}
              onResize={(width) => (layout.value = { ...layout.value, sideWidth: width })}
              side={
                panel === "files" ? (
                  <FilesPanel project={project} actions={work.actions} />
                ) : panel === "outline" ? (
                  <OutlinePanel outline={active?.status.value.outline} />
                ) : panel === "versions" ? (
                  <VersionsPanel versions={active?.status.value.versions} canEdit={canEdit(project)} />
                ) : panel === "running" ? (
                  <RunningPanel project={project} onNewTerminal={() => void work.actions.newTerminal("")} />
                ) : (
                  <TrashPanel files={work.files} isEditor={canEdit(project)} />
                )
              }
            >
              {main}
            </Split>
          )}
        </main>
      </div>
      <StatusBar status={active?.status.value ?? {}} role={project.role} />
    </div>
  );
}

/** What goes on while a project is open: hints, commands, and a word before unsaved work is lost. */
function useProjectLife(work: OpenProject, project: Project, content: Promise<void>): void {
  useEffect(() => {
    let stop: (() => void) | null = null;
    let isGone = false;
    // A task later: whoever waits for the content opens sockets, and a browser makes one connection after the other.
    void content.then(() => setTimeout(() => (stop = isGone ? null : followHub(work, project))));
    return () => {
      isGone = true;
      stop?.();
    };
  }, [work]);
  useEffect(() => {
    const unregister = registerCommands(projectCommands(work, project));
    fileEntries.value = () => quickOpenEntries(work);
    const warn = (event: BeforeUnloadEvent) => {
      if (work.tabs.unsaved().length > 0 || work.uploads.isBusy.peek()) event.preventDefault();
    };
    addEventListener("beforeunload", warn);
    return () => {
      unregister();
      fileEntries.value = null;
      removeEventListener("beforeunload", warn);
    };
  }, [work]);
}

/** Fetches what the panels show, and again whenever the hub says that it changed. Returns what ends it. */
function followHub(work: OpenProject, project: Project): () => void {
  const refresh = () => {
    void work.files.refresh();
    void kernels.refresh();
  };
  refresh();
  void kernelspecsOf(project.id).refresh();
  const stopFollowing = followProject(project.id, work.files.openFolders, {
    onHint: (hint) => {
      if (hint.type === "files") void work.files.hint(hint.path);
      else if (hint.type === "announcements") void announcements.refresh();
      else if (hint.type === "me") void me.refresh();
      else {
        void kernels.refresh();
        if (canEdit(project)) void terminalsOf(project.id).refresh();
      }
    },
    onMissed: refresh,
    onRefused: (code) => {
      if (code === CloseCode.notSignedIn) isSignedOut.value = true;
      else {
        toast({ kind: "error", text: `You have no access to ${project.name} any more.`, durationMs: Infinity });
        void projects.refresh();
        navigate(hubUrl("/"));
      }
    },
  });
  const stopWaiting = onHubBack(refresh);
  return () => {
    stopFollowing();
    stopWaiting();
  };
}
