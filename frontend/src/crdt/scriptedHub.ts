/** A hub for tests, in memory: the server's side of the document socket, one event at a time. */

import { applyAwarenessUpdate, Awareness, encodeAwarenessUpdate } from "y-protocols/awareness";
import * as Y from "yjs";

import type { SocketHandlers, SocketPort } from "./provider";

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function frame(kind: number, ...parts: Uint8Array[]): ArrayBuffer {
  const all = [new Uint8Array([kind]), ...parts];
  const bytes = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes.buffer;
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export class ScriptedHub {
  readonly doc = new Y.Doc();
  readonly awareness = new Awareness(new Y.Doc());
  epoch = "e1";
  role = "editor";
  maxUpdateBytes = 100_000;
  /** Frames the client sent, by kind. */
  readonly received: { kind: number; bytes: Uint8Array }[] = [];
  /** False keeps updates unacknowledged, as when the wire is slow. */
  acknowledges = true;
  closed = 0;
  #handlers: SocketHandlers | null = null;
  #isOpen = false;
  #stream = 0;

  readonly connect = (handlers: SocketHandlers): SocketPort => {
    this.#handlers = handlers;
    return {
      send: (data) => {
        if (!this.#isOpen) return false;
        this.#receive(data);
        return true;
      },
      reconnect: () => this.drop(),
      close: () => {
        this.closed += 1;
        this.#isOpen = false;
      },
    };
  };

  /** Accepts the (re)connection and says hello. */
  open(): void {
    this.#isOpen = true;
    this.#handlers?.onOpen();
    this.hello();
  }

  hello(): void {
    const hello = { epoch: this.epoch, role: this.role, client_prefix: "1", stream_id: `${String(this.#stream)}-0`, max_update_bytes: this.maxUpdateBytes };
    this.#send(frame(0, json(hello)));
  }

  drop(code = 1006, final = false): void {
    this.#isOpen = false;
    this.#handlers?.onClose(code, final);
  }

  /** Someone else's edit. */
  edit(change: (doc: Y.Doc) => void): void {
    const before = Y.encodeStateVector(this.doc);
    change(this.doc);
    if (this.#isOpen) this.#send(frame(3, Y.encodeStateAsUpdate(this.doc, before)));
  }

  durable(streamId = `${String(this.#stream)}-0`): void {
    this.#send(frame(5, new TextEncoder().encode(streamId)));
  }

  refuse(number: number, code: string): void {
    this.#send(frame(7, uint32(number), json({ code, message: "no" })));
  }

  echo(number: number): void {
    this.#send(frame(8, uint32(number)));
  }

  presence(user: object, state: object): void {
    this.awareness.setLocalState({ ...state, user });
    this.#send(frame(6, encodeAwarenessUpdate(this.awareness, [this.awareness.clientID])));
  }

  updates(): { number: number; update: Uint8Array }[] {
    return this.received
      .filter(({ kind }) => kind === 3)
      .map(({ bytes }) => ({ number: new DataView(bytes.buffer, bytes.byteOffset).getUint32(1), update: bytes.slice(5) }));
  }

  #send(data: ArrayBuffer): void {
    this.#handlers?.onMessage(data);
  }

  #receive(data: Uint8Array): void {
    const bytes = data.slice();
    const kind = bytes[0] ?? -1;
    this.received.push({ kind, bytes });
    if (kind === 1) {
      const stateVector = Y.encodeStateVector(this.doc);
      const update = Y.encodeStateAsUpdate(this.doc, bytes.slice(1));
      this.#send(frame(2, uint32(stateVector.length), stateVector, update));
    } else if (kind === 3 && this.acknowledges) {
      Y.applyUpdate(this.doc, bytes.slice(5));
      this.#stream += 1;
      this.#send(frame(4, bytes.slice(1, 5), new TextEncoder().encode(`${String(this.#stream)}-0`)));
    } else if (kind === 6) applyAwarenessUpdate(this.awareness, bytes.slice(1), "client");
  }
}
