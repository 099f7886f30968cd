/** Frames of the document socket (docs/reference/documents.md). Pure. Integers are big-endian. */

export const enum Kind {
  Hello = 0,
  SyncRequest = 1,
  Sync = 2,
  Update = 3,
  Ack = 4,
  Durable = 5,
  Awareness = 6,
  Refused = 7,
  Echo = 8,
}

export interface Hello {
  epoch: string;
  role: string;
  client_prefix?: string | number;
  stream_id: string;
  max_update_bytes: number;
}

export interface FrameError {
  code: string;
  message: string;
  details?: Record<string, unknown>;
}

export type ServerFrame =
  | { kind: "hello"; hello: Hello }
  | { kind: "sync"; stateVector: Uint8Array; update: Uint8Array }
  | { kind: "update"; update: Uint8Array }
  | { kind: "ack"; number: number; streamId: string }
  | { kind: "durable"; streamId: string }
  | { kind: "awareness"; update: Uint8Array }
  | { kind: "refused"; number: number; error: FrameError }
  /** Flow control: goes back as it came. */
  | { kind: "echo"; frame: Uint8Array };

const text = new TextDecoder();

function withKind(kind: Kind, payload: Uint8Array, number?: number): Uint8Array {
  const head = number === undefined ? 1 : 5;
  const frame = new Uint8Array(head + payload.length);
  frame[0] = kind;
  if (number !== undefined) new DataView(frame.buffer).setUint32(1, number);
  frame.set(payload, head);
  return frame;
}

export const encodeSyncRequest = (stateVector: Uint8Array): Uint8Array =>
  withKind(Kind.SyncRequest, stateVector);
export const encodeUpdate = (number: number, update: Uint8Array): Uint8Array =>
  withKind(Kind.Update, update, number);
export const encodeAwareness = (update: Uint8Array): Uint8Array => withKind(Kind.Awareness, update);

/** Raises Error when the frame is none of the server's. */
export function decodeServerFrame(data: ArrayBuffer | Uint8Array): ServerFrame {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  if (bytes.length === 0) throw new Error("empty frame");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (bytes[0] as Kind) {
    case Kind.Hello:
      return { kind: "hello", hello: JSON.parse(text.decode(bytes.subarray(1))) as Hello };
    case Kind.Sync: {
      const length = view.getUint32(1);
      if (5 + length > bytes.length) throw new Error("sync frame is cut short");
      return { kind: "sync", stateVector: bytes.slice(5, 5 + length), update: bytes.slice(5 + length) };
    }
    case Kind.Update:
      return { kind: "update", update: bytes.slice(1) };
    case Kind.Ack:
      return { kind: "ack", number: view.getUint32(1), streamId: text.decode(bytes.subarray(5)) };
    case Kind.Durable:
      return { kind: "durable", streamId: text.decode(bytes.subarray(1)) };
    case Kind.Awareness:
      return { kind: "awareness", update: bytes.slice(1) };
    case Kind.Refused:
      return {
        kind: "refused",
        number: view.getUint32(1),
        error: JSON.parse(text.decode(bytes.subarray(5))) as FrameError,
      };
    case Kind.Echo:
      return { kind: "echo", frame: bytes.slice() };
    default:
      throw new Error(`unknown frame kind ${String(bytes[0])}`);
  }
}

/** Order of two stream ids `milliseconds-number`. */
export function compareStreamIds(left: string, right: string): number {
  const [leftTime = "0", leftNumber = "0"] = left.split("-");
  const [rightTime = "0", rightNumber = "0"] = right.split("-");
  return Number(leftTime) - Number(rightTime) || Number(leftNumber) - Number(rightNumber);
}
