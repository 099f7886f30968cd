import type { Entry } from "../api/types";
import { kernelspecsOf } from "../store/kernelspecs";
import type { MenuItem } from "../ui/Menu";
import type { FileActions } from "./fileActions";

/** What can be made in a folder: a notebook for each kernel, a file, a folder. */
export function newMenu(actions: FileActions, folder: string): MenuItem[] {
  const specs = kernelspecsOf(actions.files.projectId).data.peek() ?? [];
  const notebooks: MenuItem[] =
    specs.length > 1
      ? specs.map((spec) => ({ label: `Notebook: ${spec.display_name}`, icon: "new-notebook", run: () => actions.newNotebook(folder, spec) }))
      : [{ label: "Notebook", icon: "new-notebook", run: () => actions.newNotebook(folder, specs[0]) }];
  return [
    ...notebooks,
    { label: "File…", icon: "new-file", run: () => actions.newFile(folder) },
    { label: "Folder…", icon: "new-folder", run: () => actions.newFolder(folder) },
    { label: "Terminal", icon: "terminal", run: () => actions.newTerminal(folder) },
  ];
}

/** What can be done with a file or folder. */
export function entryMenu(actions: FileActions, entry: Entry, isEditor: boolean): MenuItem[] {
  const isFolder = entry.type === "folder";
  const look: MenuItem[] = [
    isFolder
      ? { label: "Open", icon: "folder-open", run: () => actions.files.setOpen(entry.path, true) }
      : { label: "Open", icon: "external", keys: "Enter", run: () => actions.open(entry.path) },
    ...(isFolder ? [] : [{ label: "Download", icon: "download" as const, run: () => actions.download(entry) }]),
    { label: "Copy path", icon: "copy", run: () => actions.copyPath(entry) },
  ];
  if (!isEditor) return look;
  return [
    ...look,
    "separator",
    ...(isFolder ? [...newMenu(actions, entry.path), "separator" as const] : []),
    { label: "Rename…", icon: "rename", keys: "F2", run: () => actions.rename(entry) },
    { label: "Duplicate", icon: "copy", run: () => actions.duplicate(entry) },
    { label: "Copy to…", icon: "copy", run: () => actions.copyTo(entry) },
    { label: "Move to…", icon: "move", run: () => actions.move(entry) },
    "separator",
    { label: "Move to trash", icon: "trash", keys: "Del", danger: true, run: () => actions.remove(entry) },
  ];
}
