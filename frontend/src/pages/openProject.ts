import type { Project } from "../api/types";
import { FileActions } from "../panels/fileActions";
import { navigate, projectUrl } from "../router";
import { ProjectFiles } from "../store/files";
import { NARROW_PX, showPanel } from "../store/layout";
import { parentOf } from "../store/paths";
import { ProjectTabs } from "../store/tabs";
import { sendToProject, UploadQueue } from "../store/uploads";

/** All that belongs to one open project. */
export interface OpenProject {
  files: ProjectFiles;
  tabs: ProjectTabs;
  uploads: UploadQueue;
  actions: FileActions;
  /** Shows a file, or with null the project without one; the address follows. */
  show: (path: string | null) => void;
}

const opened = new Map<string, OpenProject>();

/** The same object for each visit of a project, so that uploads and tabs outlive a look at another page. */
export function openProject(project: Project): OpenProject {
  const known = opened.get(project.id);
  if (known) return known;
  const files = new ProjectFiles(project.id);
  const tabs = new ProjectTabs(project.id);
  const uploads = new UploadQueue(sendToProject(project.id), (path) => void files.hint(parentOf(path)));
  const show = (path: string | null) => {
    // The address already names it when a tab is chosen twice; then only the tab needs to come up.
    if (path !== null) {
      tabs.open(path);
      if (innerWidth < NARROW_PX) showPanel(null);
    }
    navigate(projectUrl(project, path));
  };
  const work: OpenProject = { files, tabs, uploads, show, actions: new FileActions(files, tabs, uploads, show) };
  opened.set(project.id, work);
  return work;
}
