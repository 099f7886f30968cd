import { beforeEach, describe, expect, it } from "vitest";
import * as Y from "yjs";

import { dropOldCopies, findUnsentCopies, KeptCopy } from "./persistence";

const key = { username: "alice", documentId: "d1", epoch: "e1" };
const noteName = "zasper-document:alice:d1";
const notes = (): Record<string, { openedAtMs: number; unsent: boolean }> =>
  JSON.parse(localStorage.getItem(noteName) ?? "{}") as Record<string, { openedAtMs: number; unsent: boolean }>;

beforeEach(() => localStorage.clear());

describe("kept copies", () => {
  it("work in a browser without storage, and with notes that cannot be read", async () => {
    localStorage.setItem(noteName, "{broken");
    const copy = new KeptCopy(new Y.Doc(), key);
    await copy.whenLoaded;
    copy.unsent = true;
    expect(notes().e1?.unsent).toBe(true);
    await copy.dispose();
  });

  it("remember over a restart that edits were never acknowledged", async () => {
    const before = new KeptCopy(new Y.Doc(), key);
    before.unsent = true;
    await before.dispose();
    expect(new KeptCopy(new Y.Doc(), key).unsent).toBe(true);
  });

  it("of another epoch are dropped when they say nothing new", async () => {
    await new KeptCopy(new Y.Doc(), { ...key, epoch: "e0" }).dispose();
    expect(await findUnsentCopies(key)).toEqual([]);
    expect(Object.keys(notes())).toEqual([]);
  });

  it("of other people and documents are not touched", async () => {
    await new KeptCopy(new Y.Doc(), { ...key, username: "bob", epoch: "e0" }).dispose();
    await new KeptCopy(new Y.Doc(), { ...key, documentId: "d2", epoch: "e0" }).dispose();
    await findUnsentCopies(key);
    expect(localStorage).toHaveLength(2);
  });

  it("go after 30 days unopened, unless they hold edits nobody else has", async () => {
    await new KeptCopy(new Y.Doc(), key).dispose();
    const unsent = new KeptCopy(new Y.Doc(), { ...key, epoch: "e2" });
    unsent.unsent = true;
    await unsent.dispose();
    dropOldCopies(Date.now() + 31 * 24 * 3_600_000);
    expect(Object.keys(notes())).toEqual(["e2"]);
  });
});
