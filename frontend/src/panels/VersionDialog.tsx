import { useEffect, useMemo, useState } from "preact/hooks";
import { apiUrl } from "../api/client";
import { messageOf } from "../api/errors";
import type { Version } from "../api/types";
import type { JsonObject } from "../crdt/schema";
import { type CellChange, compareNotebooks } from "../notebook/versionDiff";
import { type NotebookVersions, titleOfVersion } from "../notebook/versions";
import { formatTime, plural } from "../store/format";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { showLayer } from "../ui/layers";
import { Loading } from "../ui/Progress";
import { toast, toastError } from "../ui/toast";

/** Shows what changed since a version, and offers to go back to it. */
export function showVersion(versions: NotebookVersions, version: Version, canEdit: boolean): void {
  const hide = showLayer(<VersionDialog versions={versions} version={version} canEdit={canEdit} onClose={() => hide()} />);
}

function VersionDialog({ versions, version, canEdit, onClose }: { versions: NotebookVersions; version: Version; canEdit: boolean; onClose: () => void }) {
  const [content, setContent] = useState<JsonObject | null>(null);
  const [problem, setProblem] = useState("");
  const [isRestoring, setRestoring] = useState(false);
  useEffect(() => {
    versions.content(version.id).then(setContent, (error: unknown) => setProblem(messageOf(error)));
  }, [version.id]);
  const changes = useMemo(() => content && compareNotebooks(content, versions.current()), [content]);
  const isSame = changes?.every((change) => change.kind === "same" && !change.isMoved) ?? true;
  const restore = async (): Promise<void> => {
    setRestoring(true);
    try {
      await versions.restore(version.id);
      toast({ kind: "ok", text: "The notebook is as it was then. What it was a moment ago is a version too." });
      onClose();
    } catch (error) {
      toastError(error);
      setRestoring(false);
    }
  };
  return (
    <Dialog
      title={titleOfVersion(version)}
      size="large"
      onClose={onClose}
      onSubmit={restore}
      footer={
        <>
          <a class="button button-plain" href={apiUrl(`documents/${versions.documentId}/versions/${version.id}/notebook`)} download="version.ipynb">
            Download
          </a>
          <Button onClick={onClose} data-autofocus>
            Close
          </Button>
          {canEdit && (
            <Button type="submit" kind="primary" disabled={isSame || isRestoring}>
              Go back to this version
            </Button>
          )}
        </>
      }
    >
      <p class="muted">
        {formatTime(version.created_at)}
        {version.created_by && ` · by ${version.created_by}`}
        {changes && ` · ${summaryOf(changes)}`}
      </p>
      {problem && <p class="inline-error">{problem}</p>}
      {!changes && !problem && <Loading label="Comparing…" />}
      {changes && !isSame && <ChangeList changes={changes} />}
    </Dialog>
  );
}

function summaryOf(changes: readonly CellChange[]): string {
  const count = (kind: CellChange["kind"]): number => changes.filter((change) => change.kind === kind).length;
  const moved = changes.filter((change) => change.isMoved && change.kind === "same").length;
  const parts = [
    count("changed") && `${plural(count("changed"), "cell")} changed since`,
    count("added") && `${String(count("added"))} added`,
    count("removed") && `${String(count("removed"))} deleted`,
    moved && `${String(moved)} moved`,
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(", ") : "nothing changed since";
}

const CELL_WORDS: Record<CellChange["kind"], string> = { added: "Added since", removed: "Deleted since", changed: "Changed since", same: "Moved since" };
const TYPES: Record<string, string> = { code: "Code cell", markdown: "Text cell", raw: "Raw cell" };
const MARKS = { same: " ", added: "+", removed: "−" } as const;

/** What changed, with the cells that did not between them counted only. */
function ChangeList({ changes }: { changes: readonly CellChange[] }) {
  const rows: (CellChange | number)[] = [];
  for (const change of changes) {
    const last = rows.at(-1);
    if (change.kind !== "same" || change.isMoved) rows.push(change);
    else if (typeof last === "number") rows[rows.length - 1] = last + 1;
    else rows.push(1);
  }
  return (
    <div class="version-changes" tabIndex={0} role="region" aria-label="What changed">
      {rows.map((row, index) =>
        typeof row === "number" ? (
          <p key={index} class="version-unchanged">
            {plural(row, "cell")} unchanged
          </p>
        ) : (
          <article key={row.cellId} class={`version-cell version-cell-${row.kind}`}>
            <h3>
              {TYPES[row.type] ?? "Cell"} · {CELL_WORDS[row.kind]}
              {row.isMoved && row.kind === "changed" && ", and moved"}
            </h3>
            {row.lines.length > 0 && (
              <pre>
                {row.lines.map((line, number) => (
                  <span key={number} class={`version-line version-line-${line.kind}`}>
                    <span aria-hidden="true">{MARKS[line.kind]} </span>
                    {line.kind !== "same" && <span class="visually-hidden">{line.kind === "added" ? "added: " : "deleted: "}</span>}
                    {`${line.text}\n`}
                  </span>
                ))}
              </pre>
            )}
          </article>
        ),
      )}
    </div>
  );
}
