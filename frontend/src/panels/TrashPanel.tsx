import { useEffect } from "preact/hooks";
import type { TrashEntry } from "../api/types";
import { formatAgo, formatBytes } from "../store/format";
import type { ProjectFiles } from "../store/files";
import { nameOf, parentOf } from "../store/paths";
import { IconButton } from "../ui/Button";
import { confirm } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { Loading } from "../ui/Progress";
import { toast, toastError } from "../ui/toast";
import { PanelHeader } from "./PanelHeader";

/** What was deleted in this project and can still be put back. */
export function TrashPanel({ files, isEditor }: { files: ProjectFiles; isEditor: boolean }) {
  useEffect(() => {
    void files.trash.refresh();
  }, [files]);
  const entries = files.trash.data.value;
  const error = files.trash.error.value;

  return (
    <section class="panel" aria-label="Trash">
      <PanelHeader title="Trash">
        <IconButton icon="refresh" label="Refresh" onClick={() => void files.trash.refresh()} />
      </PanelHeader>
      {error && entries === null && <p class="inline-error panel-note">{error.message}</p>}
      {entries === null && !error && <Loading />}
      {entries?.length === 0 && <p class="panel-note muted">The trash is empty.</p>}
      {entries !== null && entries.length > 0 && (
        <ul class="trash-list">
          {entries.map((entry) => (
            <TrashRow key={entry.id} entry={entry} files={files} isEditor={isEditor} />
          ))}
        </ul>
      )}
    </section>
  );
}

function TrashRow({ entry, files, isEditor }: { entry: TrashEntry; files: ProjectFiles; isEditor: boolean }) {
  const name = nameOf(entry.path);
  const restore = () =>
    files
      .restore(entry.id)
      .then((restored) => toast({ kind: "ok", text: `${nameOf(restored.path)} is back${restored.path === entry.path ? "" : ` as ${restored.path}`}.` }))
      .catch(toastError);
  const destroy = async () => {
    const isSure = await confirm({ title: `Delete ${name} for good?`, text: "It cannot be brought back after this.", action: "Delete for good", danger: true });
    if (isSure) await files.destroy(entry.id).catch(toastError);
  };
  return (
    <li class="trash-row">
      <Icon name={entry.is_folder ? "folder" : "file"} size={15} />
      <div class="trash-text">
        <span class="truncate" title={entry.path}>
          {name}
        </span>
        <span class="running-detail truncate">
          {[parentOf(entry.path), formatBytes(entry.size), formatAgo(entry.deleted_at), entry.deleted_by ? `by ${entry.deleted_by}` : ""].filter(Boolean).join(" · ")}
        </span>
      </div>
      {isEditor && (
        <>
          <IconButton icon="undo" label={`Put ${name} back`} size={14} onClick={restore} />
          <IconButton icon="trash" label={`Delete ${name} for good`} size={14} onClick={destroy} />
        </>
      )}
    </li>
  );
}
