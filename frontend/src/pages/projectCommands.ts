import type { Project } from "../api/types";
import type { Command } from "../store/commands";
import { showPanel, togglePanel } from "../store/layout";
import { iconOf, parentOf, terminalOf } from "../store/paths";
import { canEdit } from "../store/projects";
import { openPalette, type PaletteEntry } from "../ui/Palette";
import { closeTab } from "./closeTab";
import type { OpenProject } from "./openProject";
import { openProjectSettings } from "./ProjectSettingsDialog";
import { openShare } from "./ShareDialog";

/** The commands of an open project. */
export function projectCommands(work: OpenProject, project: Project): Command[] {
  const isEditor = () => canEdit(project);
  const hasTab = () => work.tabs.active.value !== null;
  const folder = () => {
    const path = work.tabs.active.peek() ?? "";
    return terminalOf(path) === null ? parentOf(path) : "";
  };
  const step = (by: number) => {
    const tabs = work.tabs.tabs.peek();
    const at = tabs.findIndex((tab) => tab.path === work.tabs.active.peek());
    const next = tabs[(at + by + tabs.length) % tabs.length];
    if (next) work.show(next.path);
  };
  return [
    { id: "project.open-file", title: "Open a file by name", group: "Project", keys: ["Mod-P"], whileTyping: true, run: () => openPalette("files") },
    { id: "project.new-notebook", title: "New notebook", group: "Project", when: isEditor, run: () => work.actions.newNotebook(folder()) },
    { id: "project.new-file", title: "New file", group: "Project", when: isEditor, run: () => work.actions.newFile(folder()) },
    { id: "project.new-folder", title: "New folder", group: "Project", when: isEditor, run: () => work.actions.newFolder(folder()) },
    { id: "project.new-terminal", title: "New terminal", group: "Project", when: isEditor, run: () => work.actions.newTerminal(folder()) },
    { id: "project.toggle-files", title: "Show or hide files", group: "Project", keys: ["Mod-B"], whileTyping: true, run: () => togglePanel("files") },
    { id: "project.show-outline", title: "Show the outline of the notebook", group: "Project", run: () => showPanel("outline") },
    { id: "project.show-versions", title: "Show the versions of the notebook", group: "Project", run: () => showPanel("versions") },
    { id: "project.show-running", title: "Show what is running", group: "Project", run: () => showPanel("running") },
    { id: "project.show-trash", title: "Show the trash", group: "Project", run: () => showPanel("trash") },
    { id: "project.next-tab", title: "Next tab", group: "Project", keys: ["Alt-PageDown"], whileTyping: true, when: hasTab, run: () => step(1) },
    { id: "project.previous-tab", title: "Previous tab", group: "Project", keys: ["Alt-PageUp"], whileTyping: true, when: hasTab, run: () => step(-1) },
    { id: "project.close-tab", title: "Close tab", group: "Project", keys: ["Alt-W"], whileTyping: true, when: hasTab, run: () => closeTab(work, work.tabs.active.peek() ?? "") },
    { id: "project.share", title: "Share this project", group: "Project", run: () => openShare(project) },
    { id: "project.settings", title: "Project settings", group: "Project", run: () => openProjectSettings(project) },
  ];
}

/** Files for quick opening: open tabs first, then all that are known. */
export function quickOpenEntries(work: OpenProject): PaletteEntry[] {
  const open = work.tabs.tabs.value.map((tab) => tab.path).filter((path) => terminalOf(path) === null);
  const paths = new Set([...open, ...work.files.knownFiles().map((entry) => entry.path)]);
  return [...paths].map((path) => ({
    id: `file:${path}`,
    title: path.slice(path.lastIndexOf("/") + 1),
    detail: parentOf(path),
    icon: iconOf(path, "file"),
    run: () => work.show(path),
  }));
}
