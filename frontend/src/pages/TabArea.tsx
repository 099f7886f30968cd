import { useComputed } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Project } from "../api/types";
import { iconOf, parentOf, tabKindOf, terminalOf, titleOf, type TabKind } from "../store/paths";
import { hasUnsavedWork, type Tab } from "../store/tabs";
import { expectDocument } from "../store/openedDocuments";
import { canEdit } from "../store/projects";
import { newMenu } from "../panels/fileMenus";
import { Button } from "../ui/Button";
import { openMenu } from "../ui/Menu";
import { Loading } from "../ui/Progress";
import { panelId, tabId, Tabs, type TabItem } from "../ui/Tabs";
import { closeTab } from "./closeTab";
import { Message } from "./ErrorPage";
import type { OpenProject } from "./openProject";

export interface TabViewProps {
  project: Project;
  work: OpenProject;
  tab: Tab;
  isActive: boolean;
}

/** Views are fetched when the first tab of their kind opens. */
const VIEWS: Readonly<Record<TabKind, () => Promise<FunctionComponent<TabViewProps>>>> = {
  notebook: () => import("./tabs/NotebookTab").then((module) => module.NotebookTab),
  text: () => import("./tabs/TextTab").then((module) => module.TextTab),
  image: () => import("./tabs/ImageTab").then((module) => module.ImageTab),
  terminal: () => import("./tabs/TerminalTab").then((module) => module.TerminalTab),
  binary: () => import("./tabs/BinaryTab").then((module) => module.BinaryTab),
};
const loaded = new Map<TabKind, FunctionComponent<TabViewProps>>();

async function fetchView(kind: TabKind): Promise<FunctionComponent<TabViewProps>> {
  const view = loaded.get(kind) ?? (await VIEWS[kind]());
  loaded.set(kind, view);
  return view;
}

/** Fetches the view of a file that will be shown, while it is still being found out whether there is such a file. */
export function expectView(path: string): void {
  fetchView(tabKindOf(path)).catch(() => undefined); // tried again, and told, when it is shown
}

/** Asks for what the view of this file will show, while the view itself is on its way. Settles when that has come. */
export async function expectContent(project: Project, path: string): Promise<void> {
  if (tabKindOf(path) === "notebook") await expectDocument(project.id, path);
}

/** The open tabs and the view of the active one. Views stay mounted once they were shown. */
export function TabArea({ project, work }: { project: Project; work: OpenProject }) {
  const tabs = work.tabs.tabs.value;
  const active = work.tabs.active.value;
  const shown = useRef(new Set<string>());
  if (active !== null) shown.current.add(active);
  const items = useComputed(() => tabItems(work.tabs.tabs.value)).value;

  const tabMenu = (id: string, event: MouseEvent) => {
    const others = work.tabs.tabs.peek().filter((tab) => tab.path !== id);
    const closeAll = async (paths: readonly string[]) => {
      for (const path of paths) await closeTab(work, path);
    };
    openMenu({ x: event.clientX, y: event.clientY }, [
      { label: "Close", icon: "close", run: () => closeTab(work, id) },
      { label: "Close others", disabled: others.length === 0, run: () => closeAll(others.map((tab) => tab.path)) },
      { label: "Close all", run: () => closeAll(work.tabs.tabs.peek().map((tab) => tab.path)) },
      "separator",
      { label: "Download", icon: "download", disabled: terminalOf(id) !== null, run: () => downloadPath(work, id) },
    ]);
  };

  return (
    <div class="tab-area">
      {tabs.length > 0 && (
        <Tabs
          items={items}
          active={active}
          label="Open files"
          onSelect={work.show}
          onClose={(id) => void closeTab(work, id)}
          onContextMenu={tabMenu}
          onReorder={(id, before) => work.tabs.reorder(id, before)}
        />
      )}
      <div class="tab-panels">
        {tabs
          .filter((tab) => shown.current.has(tab.path))
          .map((tab) => (
            <div key={tab.path} id={panelId(tab.path)} class="tab-panel" role="tabpanel" aria-labelledby={tabId(tab.path)} hidden={tab.path !== active}>
              <TabView project={project} work={work} tab={tab} isActive={tab.path === active} />
            </div>
          ))}
        {active === null && <NothingOpen project={project} work={work} />}
      </div>
    </div>
  );
}

function TabView(props: TabViewProps) {
  const { kind } = props.tab;
  const [View, setView] = useState<FunctionComponent<TabViewProps> | undefined>(() => loaded.get(kind));
  const [hasFailed, setFailed] = useState(false);

  useEffect(() => {
    if (View) return;
    let isGone = false;
    void expectContent(props.project, props.tab.path);
    fetchView(kind).then(
      (view) => {
        if (!isGone) setView(() => view);
      },
      () => {
        if (!isGone) setFailed(true);
      },
    );
    return () => {
      isGone = true;
    };
  }, [kind, hasFailed]);

  if (View) return <View {...props} />;
  if (!hasFailed) return <Loading />;
  return (
    <div class="message-page">
      <Message icon="offline" title="This view could not be loaded" text="The hub did not answer, or it was updated meanwhile. Your work is safe." />
      <div class="message-actions">
        <Button kind="primary" icon="refresh" onClick={() => setFailed(false)}>
          Try again
        </Button>
        <Button onClick={() => location.reload()}>Reload the page</Button>
      </div>
    </div>
  );
}

function NothingOpen({ project, work }: { project: Project; work: OpenProject }) {
  const isEditor = canEdit(project);
  return (
    <div class="message-page">
      <Message icon="notebook" title={project.name} text={isEditor ? "Open one of the files, or start something new." : "Open one of the files. You can look at everything here, but not change it."} />
      {isEditor && (
        <div class="message-actions">
          <Button kind="primary" icon="new-notebook" onClick={() => void work.actions.newNotebook("")}>
            New notebook
          </Button>
          <Button icon="plus" aria-haspopup="menu" onClick={(event) => openMenu(event.currentTarget, newMenu(work.actions, ""), "New")}>
            More
          </Button>
        </div>
      )}
    </div>
  );
}

function tabItems(tabs: readonly Tab[]): TabItem[] {
  const counts = new Map<string, number>();
  for (const tab of tabs) counts.set(titleOf(tab.path), (counts.get(titleOf(tab.path)) ?? 0) + 1);
  return tabs.map((tab) => {
    const name = titleOf(tab.path);
    const status = tab.status.value;
    return {
      id: tab.path,
      title: name,
      // Two files of one name: say where each is.
      hint: (counts.get(name) ?? 0) > 1 ? parentOf(tab.path) || "project" : undefined,
      icon: iconOf(tab.path, "file"),
      unsaved: tab.save !== undefined ? hasUnsavedWork(status) : status.saved === "offline" || status.saved === "failed",
      busy: status.kernel?.state === "busy",
    };
  });
}

function downloadPath(work: OpenProject, path: string): void {
  const entry = work.files.entry(path);
  if (entry) work.actions.download(entry);
}
