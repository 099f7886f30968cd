/** One display or result: its best MIME type, drawn. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { DisplayOutput, Json } from "../../store/outputLog";
import { parseAnsi } from "./ansi";
import { FrameOutput } from "./FrameOutput";
import { JsonTree } from "./JsonTree";
import { Latex, Markdown } from "./Markdown";
import { memo } from "./memo";
import { asText, type Chosen, chooseMime, sizeOf } from "./mimeTypes";
import { OutputContext, type OutputPlace, useOutput } from "./OutputContext";
import { imageUrl } from "./sanitiseMarkdown";
import { simpleTable } from "./sanitiseTable";
import { formatSize, Runs } from "./StreamText";

const MAX_FETCHED_BYTES = 20 * 1024 * 1024; // larger texts are offered as a download

interface DisplayProps {
  output: DisplayOutput;
  index: number;
}

export const Display = memo(function Display({ output, index }: DisplayProps) {
  const place = useOutput(OutputContext);
  const chosen = chooseMime(output);
  if (!chosen) {
    const mimes = [...Object.keys(output.data), ...Object.keys(output.blobs ?? {})];
    return mimes.length > 0 ? <div class="out-notice">This output has no form that can be shown here ({mimes.join(", ")}).</div> : null;
  }
  if (chosen.renderer === "image" || chosen.renderer === "svg") return <Picture output={output} chosen={chosen} place={place} />;
  if (chosen.renderer === "pdf") return <Pdf chosen={chosen} place={place} />;
  if (chosen.payload.kind === "inline") return <Drawn chosen={chosen} value={chosen.payload.value} name={`${place.documentId}/${place.cellId}/${String(index)}`} />;
  return <Fetched key={chosen.payload.blob.sha256} chosen={chosen} place={place} index={index} />;
});

function Picture({ output, chosen, place }: { output: DisplayOutput; chosen: Chosen; place: OutputPlace }) {
  const { payload, mime } = chosen;
  const source = payload.kind === "blob" ? place.blobUrl(payload.blob, mime) : imageUrl(mime, asText(payload.value));
  const plain = output.data["text/plain"];
  const words = plain === undefined ? "" : asText(plain);
  // Base64 that fits into an operation is decoded at once: no picture that appears late, no jump.
  return <img class="out-image" src={source} alt={words || "Picture"} title={words} {...sizeOf(output.metadata, mime)} decoding={payload.kind === "inline" ? "sync" : "async"} draggable={false} />;
}

function Pdf({ chosen, place }: { chosen: Chosen; place: OutputPlace }) {
  const { payload } = chosen;
  const address = payload.kind === "blob" ? place.blobUrl(payload.blob, chosen.mime, "output.pdf") : `data:application/pdf;base64,${asText(payload.value)}`;
  return (
    <a class="out-link" href={address} download="output.pdf">
      Download the PDF{payload.kind === "blob" && ` (${formatSize(payload.blob.size_bytes)})`}
    </a>
  );
}

function Drawn({ chosen, value, name }: { chosen: Chosen; value: Json; name: string }) {
  switch (chosen.renderer) {
    case "html":
      return <Html text={asText(value)} name={name} />;
    case "javascript":
      return <FrameOutput kind="javascript" text={asText(value)} name={name} />;
    case "markdown":
      return <Markdown source={asText(value)} />;
    case "latex":
      return <Latex source={asText(value)} />;
    case "json":
      return <JsonTree value={value} />;
    default:
      return (
        <div class="out-text">
          <Runs runs={parseAnsi(asText(value)).runs} />
        </div>
      );
  }
}

/** A simple table is drawn by the app; all other HTML goes into the frame. */
const Html = memo(function Html({ text, name }: { text: string; name: string }) {
  const element = useRef<HTMLDivElement>(null);
  const table = useRef<{ text: string; fragment: DocumentFragment | null } | null>(null);
  if (table.current?.text !== text) table.current = { text, fragment: simpleTable(text) };
  const { fragment } = table.current;
  useLayoutEffect(() => {
    // Once inserted the fragment is empty: a copy goes in.
    if (fragment) element.current?.replaceChildren(fragment.cloneNode(true));
  }, [fragment]);
  return fragment ? <div ref={element} class="out-table" tabIndex={0} role="region" aria-label="Table" /> : <FrameOutput kind="html" text={text} name={name} />;
});

type FetchState = { state: "loading" } | { state: "there"; value: Json } | { state: "failed" };

function Fetched({ chosen, place, index }: { chosen: Chosen; place: OutputPlace; index: number }) {
  const [found, setFound] = useState<FetchState>({ state: "loading" });
  const [attempt, setAttempt] = useState(0);
  const blob = chosen.payload.kind === "blob" ? chosen.payload.blob : null;
  const isTooLarge = (blob?.size_bytes ?? 0) > MAX_FETCHED_BYTES;
  const address = blob ? place.blobUrl(blob, chosen.mime) : "";
  useEffect(() => {
    if (!address || isTooLarge) return undefined;
    const abort = new AbortController();
    setFound({ state: "loading" });
    fetch(address, { signal: abort.signal, credentials: "same-origin" })
      .then(async (answer) => {
        if (!answer.ok) throw new Error(String(answer.status));
        const text = await answer.text();
        setFound({ state: "there", value: chosen.renderer === "json" ? (JSON.parse(text) as Json) : text });
      })
      .catch(() => { if (!abort.signal.aborted) setFound({ state: "failed" }); });
    return () => { abort.abort(); };
  }, [address, attempt, isTooLarge]);
  if (!blob) return null;
  if (isTooLarge) {
    return (
      <a class="out-link" href={place.blobUrl(blob, chosen.mime, "output")} download>
        Download this output ({chosen.mime}, {formatSize(blob.size_bytes)})
      </a>
    );
  }
  if (found.state === "loading") return <div class="out-loading">Loading {formatSize(blob.size_bytes)}…</div>;
  if (found.state === "failed") {
    return (
      <div class="out-notice">
        This output could not be loaded.{" "}
        <button type="button" class="out-link" onClick={() => { setAttempt(attempt + 1); }}>
          Try again
        </button>
      </div>
    );
  }
  return <Drawn chosen={chosen} value={found.value} name={`${place.documentId}/${place.cellId}/${String(index)}`} />;
}
