import { useRef, useState } from "preact/hooks";
import type { Entry, Project } from "../api/types";
import { formatBytes, formatTime } from "../store/format";
import { iconOf, isWithin, nameOf, parentOf } from "../store/paths";
import { canEdit } from "../store/projects";
import { IconButton } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { openMenu } from "../ui/Menu";
import { Loading } from "../ui/Progress";
import { Tree } from "../ui/Tree";
import { treeRows, type TreeRow } from "../ui/treeRows";
import { toastError } from "../ui/toast";
import type { FileActions } from "./fileActions";
import { entryMenu, newMenu } from "./fileMenus";
import { PanelHeader } from "./PanelHeader";
import { UploadList } from "./UploadList";
import "./files.css";

const PATH_TYPE = "application/x-hub-path";

/** The project's files as a tree: open, make, move, rename, upload, delete. */
export function FilesPanel({ project, actions }: { project: Project; actions: FileActions }) {
  const { files, uploads } = actions;
  const isEditor = canEdit(project);
  const [selected, setSelected] = useState<string | null>(null);
  const [isDropping, setDropping] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const rows = treeRows(files.nodes.value, files.openFolders.value);
  const active = actions.tabs.active.value;

  const selectedEntry = selected === null ? null : files.entry(selected);
  /** Where new things go: the selected folder, or the folder of the selected file. */
  const place = selectedEntry === null ? "" : selectedEntry.type === "folder" ? selectedEntry.path : parentOf(selectedEntry.path);

  const toggle = async (folder: string, isOpen: boolean): Promise<void> => {
    await files.setOpen(folder, isOpen);
    const refusal = isOpen ? files.refusalOf(folder) : null;
    if (refusal) toastError(refusal);
  };

  const open = (row: TreeRow<Entry>) => {
    if (row.isBranch) void toggle(row.id, !row.isOpen);
    else actions.open(row.id);
  };

  const handleKey = (event: KeyboardEvent, row: TreeRow<Entry>) => {
    if (!isEditor) return;
    if (event.key === "F2") void actions.rename(row.item);
    else if (event.key === "Delete" || (event.key === "Backspace" && event.metaKey)) void actions.remove(row.item);
    else return;
    event.preventDefault();
  };

  const folderOf = (row: TreeRow<Entry>) => (row.item.type === "folder" ? row.id : parentOf(row.id));
  const mayDrop = (event: DragEvent, folder: string): boolean => {
    if (!isEditor || !event.dataTransfer) return false;
    if (event.dataTransfer.types.includes("Files")) return true;
    const dragged = actions.dragged;
    return event.dataTransfer.types.includes(PATH_TYPE) && dragged !== null && !isWithin(folder, dragged) && parentOf(dragged) !== folder;
  };
  const drop = (event: DragEvent, folder: string) => {
    const moved = event.dataTransfer?.getData(PATH_TYPE);
    if (moved) void actions.moveInto(moved, folder);
    else if (event.dataTransfer) actions.uploadDropped(event.dataTransfer, folder).catch(toastError);
  };

  return (
    <section
      class={`panel ${isDropping ? "panel-dropping" : ""}`}
      aria-label="Files"
      onDragOver={(event) => {
        if (!mayDrop(event, "")) return;
        event.preventDefault();
        setDropping(event.dataTransfer?.types.includes("Files") ?? false);
      }}
      onDragLeave={(event) => {
        if (!(event.relatedTarget instanceof Node) || !event.currentTarget.contains(event.relatedTarget)) setDropping(false);
      }}
      onDrop={(event) => {
        setDropping(false);
        if (!mayDrop(event, "")) return;
        event.preventDefault();
        drop(event, "");
      }}
    >
      <PanelHeader title="Files">
        {isEditor && (
          <>
            <IconButton
              icon="plus"
              label="New…"
              aria-haspopup="menu"
              onClick={(event) => openMenu(event.currentTarget, newMenu(actions, place), "New")}
            />
            <IconButton icon="upload" label="Upload files" onClick={() => picker.current?.click()} />
          </>
        )}
        <IconButton icon="refresh" label="Refresh" onClick={() => void files.refresh()} />
      </PanelHeader>
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        data-testid="upload-input"
        onChange={(event) => {
          const chosen = [...(event.currentTarget.files ?? [])].map((file) => ({ path: file.name, file }));
          event.currentTarget.value = "";
          actions.upload(chosen, place).catch(toastError);
        }}
      />
      {files.error.value && !files.isLoaded.value ? (
        <p class="inline-error panel-note">{files.error.value.message}</p>
      ) : !files.isLoaded.value ? (
        <Loading />
      ) : rows.length === 0 ? (
        <p class="panel-note muted">{isEditor ? "No files yet. Make a notebook with +, or drop files here to upload them." : "No files yet."}</p>
      ) : (
        <Tree
          rows={rows}
          selected={selected ?? active}
          label="Files"
          onSelect={setSelected}
          onOpen={open}
          onToggle={(id, isOpen) => void toggle(id, isOpen)}
          onKey={handleKey}
          onContextMenu={(row, at) => openMenu(at, entryMenu(actions, row.item, isEditor), row.item.name)}
          onDragStart={
            isEditor
              ? (row, event) => {
                  actions.dragged = row.id;
                  event.dataTransfer?.setData(PATH_TYPE, row.id);
                  if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
                }
              : undefined
          }
          canDrop={(row, event) => mayDrop(event, folderOf(row))}
          onDrop={(row, event) => drop(event, folderOf(row))}
          renderRow={(row) => <FileRow row={row} isActive={row.id === active} onMenu={(at) => openMenu(at, entryMenu(actions, row.item, isEditor), row.item.name)} />}
        />
      )}
      {isDropping && <div class="drop-note">Drop to upload{place ? ` to ${nameOf(place)}` : ""}</div>}
      <UploadList queue={uploads} namesIn={(folder) => files.namesIn(folder)} />
    </section>
  );
}

function FileRow({ row, isActive, onMenu }: { row: TreeRow<Entry>; isActive: boolean; onMenu: (anchor: Element) => void }) {
  const { item } = row;
  const details = item.type === "folder" ? formatTime(item.modified_at) : [formatBytes(item.size), formatTime(item.modified_at)].filter(Boolean).join(", ");
  return (
    <>
      <span class={`file-icon file-icon-${item.type}`}>
        <Icon name={row.isOpen ? "folder-open" : iconOf(item.path, item.type)} size={15} />
      </span>
      <span class={`truncate file-name ${isActive ? "file-name-active" : ""}`} title={`${item.path}\n${details}`}>
        {item.name}
      </span>
      <IconButton
        icon="more"
        label={`Actions for ${item.name}`}
        class="row-more"
        tabIndex={-1}
        size={14}
        onClick={(event) => {
          event.stopPropagation();
          onMenu(event.currentTarget);
        }}
      />
    </>
  );
}
