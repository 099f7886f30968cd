import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";

import { addCell, setSource } from "./operations";
import { Presence } from "./presence";
import { DocumentProvider } from "./provider";
import { cellsOf, orderedCellIds, readCell } from "./schema";
import { ScriptedHub } from "./scriptedHub";

interface Side {
  doc: Y.Doc;
  awareness: Awareness;
  provider: DocumentProvider;
  wrongEpoch: ReturnType<typeof vi.fn>;
  unreachable: ReturnType<typeof vi.fn>;
}

function openSide(hub: ScriptedHub, doc = new Y.Doc(), epoch = "e1"): Side {
  const awareness = new Awareness(doc);
  const wrongEpoch = vi.fn();
  const unreachable = vi.fn();
  const provider = new DocumentProvider({ doc, awareness, epoch, connect: hub.connect, onWrongEpoch: wrongEpoch, onUnreachable: unreachable });
  return { doc, awareness, provider, wrongEpoch, unreachable };
}

const sources = (doc: Y.Doc): string[] =>
  orderedCellIds(doc).map((id) => {
    const cell = cellsOf(doc).get(id);
    return cell ? readCell(cell).source : "";
  });

let hub: ScriptedHub;
beforeEach(() => {
  vi.useFakeTimers();
  hub = new ScriptedHub();
});
afterEach(() => vi.useRealTimers());

describe("bad input", () => {
  it("never merges into a document of another epoch, and sends nothing to it", () => {
    addCell(hub.doc, 0, "code", "theirs");
    const doc = new Y.Doc();
    addCell(doc, 0, "code", "mine");
    const side = openSide(hub, doc);
    hub.epoch = "e2";
    hub.open();
    vi.advanceTimersByTime(5_000);
    expect(side.wrongEpoch).toHaveBeenCalledWith("e2");
    expect(sources(doc)).toEqual(["mine"]);
    expect(hub.received).toEqual([]);
    expect(hub.closed).toBe(1);
  });

  it("takes the close code 4409 as another epoch", () => {
    const side = openSide(hub);
    hub.drop(4409, true);
    expect(side.wrongEpoch).toHaveBeenCalledWith(null);
  });

  it("stops sending after a refusal, and says that the edit is not saved", () => {
    const side = openSide(hub);
    hub.open();
    hub.acknowledges = false;
    addCell(side.doc, 0, "code", "x");
    vi.advanceTimersByTime(50);
    const number = hub.updates()[0]?.number ?? 0;
    hub.refuse(number, "malformed");
    expect(side.provider.saved.value.state).toBe("error");
    addCell(side.doc, 0, "code", "y");
    vi.advanceTimersByTime(5_000);
    expect(hub.updates()).toHaveLength(1);
    expect(side.provider.hasUnsentEdits.value).toBe(true);
  });

  it("turns read-only when the hub refuses a viewer's edit", () => {
    const side = openSide(hub);
    hub.open();
    hub.refuse(1, "viewer");
    expect(side.provider.role.value).toBe("viewer");
  });

  it("does not send an update larger than the hub takes", () => {
    hub.maxUpdateBytes = 500;
    const side = openSide(hub);
    hub.open();
    addCell(side.doc, 0, "code", "x".repeat(2_000));
    vi.advanceTimersByTime(5_000);
    expect(hub.updates()).toEqual([]);
    expect(side.provider.refusal.value?.code).toBe("too_large");
  });
});

describe("in step", () => {
  it("gets what the hub has and gives what the hub lacks", () => {
    addCell(hub.doc, 0, "code", "theirs");
    const doc = new Y.Doc();
    addCell(doc, 0, "code", "mine");
    openSide(hub, doc);
    hub.open();
    expect(sources(doc).sort()).toEqual(["mine", "theirs"]);
    expect(sources(hub.doc)).toEqual(sources(doc));
  });

  it("sends nothing back when nothing is lacking, deletions included", () => {
    const id = addCell(hub.doc, 0, "code", "abc");
    setSource(hub.doc, id, "ac");
    const copy = new Y.Doc();
    Y.applyUpdate(copy, Y.encodeStateAsUpdate(hub.doc));
    openSide(hub, copy);
    hub.open();
    vi.advanceTimersByTime(5_000);
    expect(hub.updates()).toEqual([]);
  });

  it("sends a deletion that was made offline", () => {
    const id = addCell(hub.doc, 0, "code", "abc");
    const copy = new Y.Doc();
    Y.applyUpdate(copy, Y.encodeStateAsUpdate(hub.doc));
    cellsOf(copy).delete(id);
    openSide(hub, copy);
    hub.open();
    expect(sources(hub.doc)).toEqual([]);
  });

  it("sends a burst of edits as one update, and tells Saving, Saved, Saved to disk", () => {
    const side = openSide(hub);
    hub.open();
    const id = addCell(side.doc, 0, "code", "");
    for (const text of ["p", "pr", "pri"]) setSource(side.doc, id, text);
    expect(side.provider.saved.value.text).toBe("Saving…");
    vi.advanceTimersByTime(50);
    expect(hub.updates()).toHaveLength(1);
    expect(side.provider.saved.value.text).toBe("Saved");
    hub.durable();
    expect(side.provider.saved.value.text).toBe("Saved to disk");
    hub.acknowledges = false;
    setSource(side.doc, id, "print");
    vi.advanceTimersByTime(50);
    expect(side.provider.saved.value.text).toBe("Saving…");
  });

  it("does not say Saved to disk for an earlier durable than the last acknowledgement", () => {
    const side = openSide(hub);
    hub.open();
    addCell(side.doc, 0, "code", "1");
    vi.advanceTimersByTime(50);
    addCell(side.doc, 0, "code", "2");
    vi.advanceTimersByTime(50);
    hub.durable("1-0");
    expect(side.provider.saved.value.text).toBe("Saved");
    hub.durable("2-0");
    expect(side.provider.saved.value.text).toBe("Saved to disk");
  });

  it("applies another person's edit without sending it back", () => {
    const side = openSide(hub);
    hub.open();
    hub.edit((doc) => addCell(doc, 0, "code", "theirs"));
    vi.advanceTimersByTime(5_000);
    expect(sources(side.doc)).toEqual(["theirs"]);
    expect(hub.updates()).toEqual([]);
  });

  it("answers an echo with the same frame", () => {
    openSide(hub);
    hub.open();
    hub.echo(77);
    expect([...(hub.received.at(-1)?.bytes ?? [])]).toEqual([8, 0, 0, 0, 77]);
  });
});

describe("disconnected", () => {
  it("keeps edits while offline and sends them once on return, with those never acknowledged", () => {
    const side = openSide(hub);
    hub.open();
    hub.acknowledges = false;
    addCell(side.doc, 0, "code", "lost on the way");
    vi.advanceTimersByTime(50);
    hub.drop();
    expect(side.provider.saved.value.text).toBe("Saving…");
    vi.advanceTimersByTime(2_000);
    expect(side.provider.saved.value.text).toBe("Offline – edits kept here");
    addCell(side.doc, 1, "code", "offline");
    vi.advanceTimersByTime(60_000);
    hub.edit((doc) => addCell(doc, 0, "code", "theirs meanwhile"));
    hub.acknowledges = true;
    hub.received.length = 0;
    hub.open();
    expect(hub.updates()).toHaveLength(1);
    expect(sources(hub.doc).sort()).toEqual(["lost on the way", "offline", "theirs meanwhile"]);
    expect(sources(side.doc)).toEqual(sources(hub.doc));
    expect(side.provider.hasUnsentEdits.value).toBe(false);
    expect(side.provider.saved.value.text).toBe("Saved");
  });

  it("says nothing about a gap shorter than a moment", () => {
    const side = openSide(hub);
    hub.open();
    hub.drop();
    vi.advanceTimersByTime(1_000);
    hub.open();
    vi.advanceTimersByTime(5_000);
    expect(side.provider.link.value).toBe("synced");
  });

  it("syncs again when the hub says hello again on the same connection", () => {
    const side = openSide(hub);
    hub.open();
    hub.acknowledges = false;
    addCell(side.doc, 0, "code", "x");
    vi.advanceTimersByTime(50);
    hub.acknowledges = true;
    hub.hello();
    expect(sources(hub.doc)).toEqual(["x"]);
    expect(side.provider.hasUnsentEdits.value).toBe(false);
  });

  it("leaves a connection in which nothing is answered", () => {
    const side = openSide(hub);
    hub.open();
    hub.acknowledges = false;
    addCell(side.doc, 0, "code", "x");
    vi.advanceTimersByTime(7_000);
    expect(side.provider.link.value).toBe("synced");
    vi.advanceTimersByTime(2_000);
    expect(side.provider.link.value).toBe("offline");
    hub.acknowledges = true;
    hub.open();
    expect(sources(hub.doc)).toEqual(["x"]);
    expect(side.provider.saved.value.text).toBe("Saved");
  });

  it("asks why after failing twice without a hello", () => {
    const side = openSide(hub);
    hub.drop();
    expect(side.unreachable).not.toHaveBeenCalled();
    hub.drop();
    expect(side.unreachable).toHaveBeenCalledWith(2, 1006, false);
    expect(side.provider.link.value).toBe("offline");
  });

  it("gives a viewer what the hub has and sends nothing", () => {
    hub.role = "viewer";
    addCell(hub.doc, 0, "code", "theirs");
    const side = openSide(hub);
    hub.open();
    addCell(side.doc, 0, "code", "mine");
    vi.advanceTimersByTime(5_000);
    expect(hub.updates()).toEqual([]);
  });
});

describe("presence", () => {
  it("shows who else is here until the connection is gone, and tells where this person is", () => {
    const side = openSide(hub);
    const presence = new Presence(side.awareness, "alice");
    hub.open();
    hub.presence({ username: "bob", display_name: "Bob" }, { cell: "c1", cursor: { anchor: 1, head: 2 } });
    expect(presence.people.value.map((person) => person.name)).toEqual(["Bob"]);
    expect(presence.cursors.value[0]?.cellId).toBe("c1");
    presence.tell({ cell: "c2" });
    vi.advanceTimersByTime(100);
    expect(hub.awareness.getStates().get(side.doc.clientID)).toMatchObject({ cell: "c2" });
    hub.drop();
    expect(presence.people.value).toEqual([]);
  });
});
