import { signal, type Signal } from "@preact/signals";
import type { KernelState } from "../api/types";
import type { KernelUse } from "./outputLogTypes";
import type { NotebookOutline } from "../notebook/outline";
import type { NotebookVersions } from "../notebook/versions";

/** What the status bar says about an open tab. The view in the tab writes it, the shell shows it. */
export interface TabStatus {
  kernel?: {
    /** "Python 3 (ipykernel)" */
    title: string;
    /** `none`: the document has no kernel yet. */
    state: KernelState | "none" | "reconnecting";
    /** Why it ended, for a person. */
    reason?: string;
    /** What it uses of what it may, as measured a few seconds ago. */
    use?: KernelUse;
  };
  saved?: SavedState;
  position?: { line: number; column: number; /** Characters that are selected. */ selected?: number };
  /** Who else has it open; not me. */
  people?: readonly PersonHere[];
  /** The person may not edit. */
  readOnly?: boolean;
  /** Of an open notebook. */
  versions?: NotebookVersions;
  outline?: NotebookOutline;
}

/** `saved`: the hub has it. `on-disk`: in the database and the file too. `offline`: kept here until the hub is back. */
export type SavedState = "saved" | "on-disk" | "saving" | "unsaved" | "offline" | "failed";

export interface PersonHere {
  username: string;
  name: string;
  /** A CSS colour. */
  color: string;
}

const NOTHING: TabStatus = {};

export function newTabStatus(): Signal<TabStatus> {
  return signal<TabStatus>(NOTHING);
}
