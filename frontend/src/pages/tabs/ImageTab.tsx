import { useEffect, useState } from "preact/hooks";
import { apiUrl, encodePath, request } from "../../api/client";
import { messageOf } from "../../api/errors";
import { formatBytes } from "../../store/format";
import { extensionOf, nameOf, parentOf } from "../../store/paths";
import { IconButton } from "../../ui/Button";
import { Icon } from "../../ui/Icon";
import { Loading } from "../../ui/Progress";
import { Message } from "../ErrorPage";
import type { TabViewProps } from "../TabArea";
import "./image.css";

const TYPES: Readonly<Record<string, string>> = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".svg": "image/svg+xml",
  ".avif": "image/avif",
  ".bmp": "image/bmp",
  ".ico": "image/x-icon",
};

interface Picture {
  url: string;
  sizeBytes: number;
}

/** A picture, drawn through `<img>` (so that an SVG cannot run anything), fitted or at its own size. */
export function ImageTab({ project, work, tab }: TabViewProps) {
  const [picture, setPicture] = useState<Picture | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isFitted, setFitted] = useState(true);
  const [pixels, setPixels] = useState<{ width: number; height: number } | null>(null);
  const [version, setVersion] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    let url: string | null = null;
    const load = async () => {
      const answer = await request(`projects/${project.id}/files/${encodePath(tab.path)}`, { signal: abort.signal, headers: { Accept: "*/*" } });
      const bytes = await answer.arrayBuffer();
      url = URL.createObjectURL(new Blob([bytes], { type: TYPES[extensionOf(tab.path)] ?? "application/octet-stream" }));
      setError(null);
      setPicture({ url, sizeBytes: bytes.byteLength });
    };
    load().catch((refusal: unknown) => {
      if (!abort.signal.aborted) setError(messageOf(refusal));
    });
    return () => {
      abort.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [tab.path, version]);

  useEffect(() => {
    let etag = work.files.entry(tab.path)?.etag ?? null;
    return work.files.onChange((folder) => {
      if (folder !== parentOf(tab.path)) return;
      const now = work.files.entry(tab.path)?.etag ?? null;
      if (now !== null && now !== etag) setVersion((before) => before + 1);
      etag = now;
    });
  }, [tab.path]);

  if (error) return <Message icon="warning" title="This picture cannot be shown" text={error} />;
  if (!picture) return <Loading />;
  const detail = [pixels ? `${String(pixels.width)} × ${String(pixels.height)}` : "", formatBytes(picture.sizeBytes)].filter(Boolean).join(", ");
  return (
    <div class="image-tab">
      <div class="tool-bar" role="toolbar" aria-label="Picture">
        <span class="muted">{detail}</span>
        <span class="tool-space" />
        <IconButton icon="search" label={isFitted ? "Show at its own size" : "Fit into the window"} pressed={!isFitted} onClick={() => setFitted(!isFitted)} />
        <a class="icon-button" href={apiUrl(`projects/${project.id}/files/${encodePath(tab.path)}`)} download={nameOf(tab.path)} aria-label="Download" title="Download">
          <Icon name="download" />
        </a>
      </div>
      <div class={`image-stage ${isFitted ? "image-fitted" : ""}`} tabIndex={0} role="region" aria-label={nameOf(tab.path)}>
        <img
          src={picture.url}
          alt={nameOf(tab.path)}
          onLoad={(event) => setPixels({ width: event.currentTarget.naturalWidth, height: event.currentTarget.naturalHeight })}
          onError={() => setError("The file is not a picture this browser can read. It may be damaged.")}
        />
      </div>
    </div>
  );
}
