import { useEffect } from "preact/hooks";
import { messageOf } from "../api/errors";
import type { Version } from "../api/types";
import { nameVersion, type NotebookVersions, titleOfVersion } from "../notebook/versions";
import { formatAgo, formatTime } from "../store/format";
import { IconButton } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Loading } from "../ui/Progress";
import { PanelHeader } from "./PanelHeader";
import "./versions.css";

const REFRESH_MS = 30_000;

/** What the hub keeps of the open notebook's past. */
export function VersionsPanel({ versions, canEdit }: { versions: NotebookVersions | undefined; canEdit: boolean }) {
  return (
    <section class="panel" aria-label="Versions">
      <PanelHeader title="Versions">
        {versions && canEdit && <IconButton icon="save" label="Name this version" onClick={() => void nameVersion(versions)} />}
        {versions && <IconButton icon="refresh" label="Refresh" onClick={() => void versions.list.refresh()} />}
      </PanelHeader>
      {versions ? <VersionList key={versions.documentId} versions={versions} canEdit={canEdit} /> : <p class="panel-note muted">Open a notebook to see its versions.</p>}
    </section>
  );
}

function VersionList({ versions, canEdit }: { versions: NotebookVersions; canEdit: boolean }) {
  useEffect(() => {
    void versions.list.refresh();
    const timer = setInterval(() => {
      if (!document.hidden) void versions.list.refresh();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [versions]);
  const show = async (version: Version): Promise<void> => {
    const dialog = await import("./VersionDialog").catch(() => null); // store/lateParts.ts tells of it
    dialog?.showVersion(versions, version, canEdit);
  };
  const list = versions.list.data.value;
  const error = versions.list.error.value;
  if (list === null) return error ? <p class="inline-error panel-note">{messageOf(error)}</p> : <Loading />;
  if (list.length === 0) return <p class="panel-note muted">None yet. The hub keeps one every few minutes of work, when all cells were run, and when you close the notebook.</p>;
  return (
    <ul class="version-list">
      {list.map((version) => (
        <li key={version.id}>
          <button type="button" class={`version-row ${version.reason === "named" ? "version-named" : ""}`} title={formatTime(version.created_at)} onClick={() => void show(version)}>
            <Icon name={version.reason === "named" ? "save" : version.reason === "run_all" ? "run-all" : "clock"} size={15} />
            <span class="version-text">
              <span class="truncate">{titleOfVersion(version)}</span>
              <span class="running-detail truncate">{[formatAgo(version.created_at), version.created_by ? `by ${version.created_by}` : ""].filter(Boolean).join(" · ")}</span>
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
