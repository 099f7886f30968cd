import { createContext } from "preact";
import { useContext } from "preact/hooks";

import { API_BASE } from "../../api/client";
import type { BlobRef } from "../../store/outputLog";

/** Where the outputs of one cell belong, for addresses and for what is remembered of them. */
export interface OutputPlace {
  readonly documentId: string;
  readonly cellId: string;
  blobUrl(blob: BlobRef, mime: string, download?: string): string;
  /** The whole text of a long stream. */
  textUrl(index: number): string;
}

export function outputPlace(documentId: string, cellId: string): OutputPlace {
  const base = `${API_BASE}documents/${encodeURIComponent(documentId)}`;
  return {
    documentId,
    cellId,
    blobUrl(blob, mime, download) {
      const query = new URLSearchParams({ type: mime, ...(download !== undefined && { download }) });
      return `${base}/blobs/${encodeURIComponent(blob.sha256)}?${query.toString()}`;
    },
    textUrl: (index) => `${base}/text?${new URLSearchParams({ cell_id: cellId, index: String(index) }).toString()}`,
  };
}

export const OutputContext = createContext<OutputPlace>(outputPlace("", ""));
export const useOutput = useContext;
