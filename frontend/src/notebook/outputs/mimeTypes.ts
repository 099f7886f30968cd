/** Which of an output's MIME types is drawn, and how its value is read. */

import type { BlobRef, DisplayOutput, Json } from "../../store/outputLog";

export type Renderer = "html" | "javascript" | "markdown" | "latex" | "svg" | "image" | "pdf" | "json" | "text";

/** In order of preference. */
const RENDERERS: readonly (readonly [RegExp, Renderer])[] = [
  [/^text\/html$/, "html"],
  [/^(application|text)\/(x-)?javascript$/, "javascript"],
  [/^text\/markdown$/, "markdown"],
  [/^text\/latex$/, "latex"],
  [/^image\/svg\+xml$/, "svg"],
  [/^image\/(png|jpe?g|gif|webp)$/, "image"],
  [/^application\/pdf$/, "pdf"],
  [/^application\/((geo|[\w.-]+)\+)?json$/, "json"],
  [/^text\//, "text"],
];

export type Payload = { readonly kind: "inline"; readonly value: Json } | { readonly kind: "blob"; readonly blob: BlobRef };

export interface Chosen {
  readonly mime: string;
  readonly renderer: Renderer;
  readonly payload: Payload;
}

/** What is drawn of a MIME bundle; null when nothing in it can be. */
export function chooseMime(output: Pick<DisplayOutput, "data" | "blobs">): Chosen | null {
  const { data, blobs = {} } = output;
  const mimes = [...Object.keys(data), ...Object.keys(blobs)];
  for (const [pattern, renderer] of RENDERERS) {
    const matching = mimes.filter((mime) => pattern.test(mime));
    // `text/plain` before other kinds of text, `application/json` before its relatives.
    const mime = matching.find((name) => name === "text/plain" || name === "application/json") ?? matching[0];
    if (mime === undefined) continue;
    const blob = blobs[mime];
    const value = data[mime];
    if (blob) return { mime, renderer, payload: { kind: "blob", blob } };
    if (value !== undefined) return { mime, renderer, payload: { kind: "inline", value } };
  }
  return null;
}

/** A value as text: nbformat's lists of lines are joined. */
export function asText(value: Json): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((line) => typeof line === "string")) return value.join("");
  return JSON.stringify(value, null, 2);
}

/** Width and height a kernel asked for, in CSS pixels. */
export function sizeOf(metadata: DisplayOutput["metadata"], mime: string): { width?: number; height?: number } {
  const own = metadata[mime];
  const from = own !== null && typeof own === "object" && !Array.isArray(own) ? own : metadata;
  const number = (value: Json | undefined): number | undefined => {
    const found = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    return typeof found === "number" && found > 0 && found <= 10_000 ? found : undefined;
  };
  return { width: number(from.width), height: number(from.height) };
}
