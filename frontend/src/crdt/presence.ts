/** Who else has the notebook open, from the awareness states the hub signs with people's names. */

import { type ReadonlySignal, signal } from "@preact/signals";
import type { Awareness } from "y-protocols/awareness";

export interface PersonHere {
  username: string;
  name: string;
  color: string;
}

export interface RemoteCursor {
  clientId: number;
  person: PersonHere;
  cellId: string;
  /** Relative positions in the cell's text, as JSON. */
  anchor: unknown;
  head: unknown;
}

/** What this browser tells about itself; the hub adds `user`. */
export interface LocalPresence {
  cell: string | null;
  cursor: { anchor: unknown; head: unknown } | null;
}

/** A hue a name always gets; saturation and lightness keep 4.5:1 against white text. */
export function colorOf(username: string): string {
  let hash = 2_166_136_261;
  for (let at = 0; at < username.length; at += 1) hash = Math.imul(hash ^ username.charCodeAt(at), 16_777_619) >>> 0;
  return `hsl(${String(hash % 360)} 62% 36%)`;
}

export class Presence {
  readonly #people = signal<readonly PersonHere[]>([]);
  readonly people: ReadonlySignal<readonly PersonHere[]> = this.#people;
  readonly #cursors = signal<readonly RemoteCursor[]>([]);
  /** Cursors of the others, wherever they are. */
  readonly cursors: ReadonlySignal<readonly RemoteCursor[]> = this.#cursors;

  constructor(
    private readonly awareness: Awareness,
    private readonly username: string,
  ) {
    awareness.setLocalState({ cell: null, cursor: null });
    awareness.on("change", this.#read);
  }

  tell(presence: Partial<LocalPresence>): void {
    const state = this.awareness.getLocalState() as LocalPresence | null;
    if (state === null) return;
    const next = { ...state, ...presence };
    if (JSON.stringify(next) !== JSON.stringify(state)) this.awareness.setLocalState(next);
  }

  dispose(): void {
    this.awareness.off("change", this.#read);
  }

  readonly #read = (): void => {
    const people = new Map<string, PersonHere>();
    const cursors: RemoteCursor[] = [];
    this.awareness.getStates().forEach((state, clientId) => {
      if (clientId === this.awareness.clientID) return;
      const user = state.user as { username?: unknown; display_name?: unknown } | undefined;
      if (typeof user?.username !== "string") return;
      const name = typeof user.display_name === "string" && user.display_name ? user.display_name : user.username;
      const person = { username: user.username, name, color: colorOf(user.username) };
      if (user.username !== this.username) people.set(user.username, person);
      const { cell, cursor } = state as Partial<LocalPresence>;
      if (typeof cell === "string" && cursor) {
        cursors.push({ clientId, person, cellId: cell, anchor: cursor.anchor, head: cursor.head });
      }
    });
    const list = [...people.values()].sort((a, b) => a.name.localeCompare(b.name));
    if (JSON.stringify(list) !== JSON.stringify(this.#people.peek())) this.#people.value = list;
    if (cursors.length || this.#cursors.peek().length) this.#cursors.value = cursors;
  };
}
