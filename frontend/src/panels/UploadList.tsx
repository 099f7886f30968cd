import { formatBytes, plural } from "../store/format";
import { freeName, joinPath, nameOf, parentOf } from "../store/paths";
import type { Upload, UploadQueue } from "../store/uploads";
import { Button, IconButton } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Progress } from "../ui/Progress";

/** What is being uploaded, below the files, until it is done and cleared. */
export function UploadList({ queue, namesIn }: { queue: UploadQueue; namesIn: (folder: string) => ReadonlySet<string> }) {
  const uploads = queue.uploads.value;
  if (uploads.length === 0) return null;
  const done = uploads.filter((upload) => upload.state === "done").length;
  const isBusy = queue.isBusy.value;
  return (
    <section class="uploads" aria-label="Uploads">
      <header class="uploads-header">
        <span aria-live="polite">{isBusy ? `Uploading ${String(Math.min(done + 1, uploads.length))} of ${String(uploads.length)}` : done === uploads.length ? `${plural(done, "file")} uploaded` : "Uploads"}</span>
        {isBusy ? (
          <Button kind="quiet" onClick={() => queue.cancelAll()}>
            Cancel all
          </Button>
        ) : (
          <IconButton icon="close" label="Clear the list" size={14} onClick={() => queue.clear()} />
        )}
      </header>
      <ul>
        {uploads.map((upload) => (
          <UploadRow key={upload.id} upload={upload} queue={queue} taken={new Set([...namesIn(parentOf(upload.path)), ...uploads.map((other) => nameOf(other.path))])} />
        ))}
      </ul>
    </section>
  );
}

function UploadRow({ upload, queue, taken }: { upload: Upload; queue: UploadQueue; taken: ReadonlySet<string> }) {
  const name = nameOf(upload.path);
  const keepBoth = () => queue.retry(upload.id, { path: joinPath(parentOf(upload.path), freeName(name, taken)) });
  return (
    <li class="upload">
      <div class="upload-line">
        <span class="truncate" title={upload.path}>
          {name}
        </span>
        <UploadEnd upload={upload} queue={queue} />
      </div>
      {upload.state === "sending" && <Progress value={upload.sizeBytes > 0 ? upload.sentBytes / upload.sizeBytes : null} label={`Uploading ${name}`} />}
      {upload.state === "failed" && (
        <p class="field-error" role="alert">
          {upload.error?.message}
        </p>
      )}
      {upload.state === "exists" && (
        <div class="upload-choice" role="alert">
          <span>This name is taken.</span>
          <button type="button" class="link-button" onClick={() => queue.retry(upload.id, { replaces: true })}>
            Replace
          </button>
          <button type="button" class="link-button" onClick={keepBoth}>
            Keep both
          </button>
        </div>
      )}
    </li>
  );
}

function UploadEnd({ upload, queue }: { upload: Upload; queue: UploadQueue }) {
  const name = nameOf(upload.path);
  switch (upload.state) {
    case "waiting":
    case "sending":
      return (
        <>
          <span class="muted upload-size">
            {upload.state === "waiting" ? "waiting" : `${formatBytes(upload.sentBytes)} of ${formatBytes(upload.sizeBytes)}`}
          </span>
          <IconButton icon="close" label={`Cancel ${name}`} size={14} onClick={() => queue.cancel(upload.id)} />
        </>
      );
    case "done":
      return (
        <span class="upload-done">
          <Icon name="check" size={14} />
          <span class="visually-hidden">uploaded</span>
        </span>
      );
    case "cancelled":
    case "failed":
      return (
        <>
          {upload.state === "cancelled" && <span class="muted upload-size">cancelled</span>}
          <IconButton icon="refresh" label={`Upload ${name} again`} size={14} onClick={() => queue.retry(upload.id)} />
        </>
      );
    case "exists":
      return null;
  }
}
