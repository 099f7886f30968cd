/** The live documents of files, as the hub opens them. */

import { requestJson } from "../api/client";
import type { OpenedDocument } from "../api/types";

const EXPECTED_MS = 10_000; // what nobody opened by then is asked for anew: it may have a new history
const underWay = new Map<string, Promise<OpenedDocument>>();
const keyOf = (projectId: string, path: string): string => `${projectId}/${path}`;

const ask = (projectId: string, path: string): Promise<OpenedDocument> =>
  requestJson<OpenedDocument>(`projects/${projectId}/documents`, { method: "POST", json: { path } });

/** Asks for a document that is about to be opened, while what shows it is still being loaded. Settles with the answer,
 * whatever it is: who opens the document is told. */
export async function expectDocument(projectId: string, path: string): Promise<void> {
  const key = keyOf(projectId, path);
  if (underWay.has(key)) return;
  const asked = ask(projectId, path);
  underWay.set(key, asked);
  const forget = (): void => {
    if (underWay.get(key) === asked) underWay.delete(key);
  };
  setTimeout(forget, EXPECTED_MS);
  await asked.catch(() => undefined);
}

/** The document of a file. Raises HubError. */
export function openDocument(projectId: string, path: string): Promise<OpenedDocument> {
  const key = keyOf(projectId, path);
  const expected = underWay.get(key);
  underWay.delete(key);
  return expected ?? ask(projectId, path);
}
