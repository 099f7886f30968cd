import { useEffect, useState } from "preact/hooks";
import { messageOf } from "../../api/errors";
import { formatBytes, formatTime } from "../../store/format";
import { nameOf } from "../../store/paths";
import type { Entry } from "../../api/types";
import { Button } from "../../ui/Button";
import { Message } from "../ErrorPage";
import type { TabViewProps } from "../TabArea";

/** A file that cannot be shown as text or picture: what it is, and a way to have it. */
export function BinaryTab({ work, tab }: Pick<TabViewProps, "work" | "tab">) {
  const [entry, setEntry] = useState<Entry | null>(() => work.files.entry(tab.path));
  const [error, setError] = useState<string | null>(null);

  useEffect(() => {
    work.files.stat(tab.path).then(setEntry, (refusal: unknown) => setError(messageOf(refusal)));
  }, [tab.path]);

  return (
    <div class="message-page">
      <Message
        icon={error ? "warning" : "file"}
        title={nameOf(tab.path)}
        text={error ?? (entry ? `${formatBytes(entry.size)}${entry.modified_at ? `, changed ${formatTime(entry.modified_at)}` : ""}. This kind of file has no view here.` : "")}
      />
      {entry && !error && (
        <Button kind="primary" icon="download" onClick={() => work.actions.download(entry)}>
          Download
        </Button>
      )}
    </div>
  );
}
