import type { HubSocketOptions, SocketState } from "../socket";
import type { ReadonlySignal } from "@preact/signals";

/** What the link draws on: a terminal emulator. */
export interface Screen {
  /** Calls `done` when it has dealt with the text. */
  write: (text: string, done: () => void) => void;
  /** Empties it: everything that is kept comes again. */
  reset: () => void;
}

export interface TerminalEnd {
  reason: string;
  exitCode: number | null;
}

interface Connection {
  readonly state: ReadonlySignal<SocketState>;
  send: (data: string) => boolean;
  close: () => void;
}

export interface TerminalLinkOptions {
  url: string;
  screen: Screen;
  connect: (options: HubSocketOptions) => Connection;
  /** Whether the terminal still lives: asked when a connection could not be made. */
  isAlive: () => Promise<boolean>;
  onEnd: (end: TerminalEnd) => void;
  /** Something that was typed did not arrive. */
  onInputLost: () => void;
}

const ACK_EVERY_CHARS = 16_384;
const PIECE_CHARS = 8_192;
/** Of the input, on its way: what is beyond waits here, so that a long paste fills nobody's memory. */
const INPUT_WINDOW_BYTES = 131_072;
const EARLY_INPUT_CHARS = 1_024;
const REFUSED = 1006; // the browser's word for a handshake that was answered by an error

/** One window of one terminal over the hub's terminal socket; comes back by itself, with what was printed before. */
export class TerminalLink {
  readonly state: ReadonlySignal<SocketState>;
  readonly #connection: Connection;
  readonly #encoder = new TextEncoder();
  #size: readonly [rows: number, columns: number] | null = null;
  #waiting = "";
  #sentBytes = 0;
  #takenBytes = 0;
  #messageCount = 0;
  #unreportedChars = 0;
  /** Rises with each connection: what an earlier one still draws is not reported to a later one. */
  #life = 0;
  #isOver = false;

  constructor(private readonly options: TerminalLinkOptions) {
    this.#connection = options.connect({
      url: options.url,
      onOpen: () => this.#opened(),
      onMessage: (data) => this.#received(data),
      onClose: (code) => this.#closed(code),
    });
    this.state = this.#connection.state;
  }

  type(text: string): void {
    const state = this.state.peek();
    if (this.#isOver || state === "waiting" || state === "closed") return;
    // Typed a moment too early, while the connection is made: sent when it is.
    if (state !== "open" && this.#waiting.length + text.length > EARLY_INPUT_CHARS) return;
    this.#waiting += text;
    this.#sendInput();
  }

  resize(rows: number, columns: number): void {
    this.#size = [rows, columns];
    this.#say("set_size", rows, columns);
  }

  close(): void {
    this.#isOver = true;
    this.#connection.close();
  }

  #opened(): void {
    this.#life += 1;
    this.#sentBytes = this.#takenBytes = this.#messageCount = this.#unreportedChars = 0;
    this.options.screen.reset();
    this.#say("read", 0); // from now on the hub waits for this screen
    if (this.#size) this.#say("set_size", ...this.#size);
    this.#sendInput();
  }

  #received(data: string | ArrayBuffer): void {
    const message = parseMessage(data);
    if (!message) return;
    const [type, value, detail] = message;
    if (type === "stdout" && typeof value === "string") this.#draw(value);
    else if (type === "taken" && typeof value === "number") {
      this.#takenBytes = value;
      this.#sendInput();
    } else if (type === "disconnect") this.#end(endOf(detail));
  }

  #draw(text: string): void {
    const number = ++this.#messageCount;
    const life = this.#life;
    this.options.screen.write(text, () => {
      if (life !== this.#life) return;
      this.#unreportedChars += text.length;
      if (this.#unreportedChars < ACK_EVERY_CHARS) return;
      this.#unreportedChars = 0;
      this.#say("read", number);
    });
  }

  #sendInput(): void {
    while (this.#waiting && this.#sentBytes - this.#takenBytes < INPUT_WINDOW_BYTES) {
      let length = Math.min(PIECE_CHARS, this.#waiting.length);
      // Not between the halves of a letter beyond the basic plane.
      if (isHighSurrogate(this.#waiting.charCodeAt(length - 1)) && length < this.#waiting.length) length += 1;
      const piece = this.#waiting.slice(0, length);
      if (!this.#say("stdin", piece)) return;
      this.#waiting = this.#waiting.slice(length);
      this.#sentBytes += this.#encoder.encode(piece).length;
    }
  }

  #closed(code: number): void {
    if (this.#waiting) {
      // How much of it arrived nobody can tell: the rest is not typed into whatever is there later.
      this.#waiting = "";
      this.options.onInputLost();
    }
    if (code !== REFUSED || this.#isOver) return;
    void this.options.isAlive().then(
      (isAlive) => {
        if (!isAlive) this.#end({ reason: "It does not run any more.", exitCode: null });
      },
      () => undefined, // the hub does not answer: the connection goes on trying
    );
  }

  #end(end: TerminalEnd): void {
    if (this.#isOver) return;
    this.close();
    this.options.onEnd(end);
  }

  #say(...message: readonly unknown[]): boolean {
    return this.#connection.send(JSON.stringify(message));
  }
}

function parseMessage(data: string | ArrayBuffer): readonly unknown[] | null {
  if (typeof data !== "string") return null;
  try {
    const message: unknown = JSON.parse(data);
    return Array.isArray(message) ? (message as readonly unknown[]) : null;
  } catch {
    return null;
  }
}

function endOf(detail: unknown): TerminalEnd {
  const known = typeof detail === "object" && detail !== null ? (detail as { reason?: unknown; exit_code?: unknown }) : {};
  return {
    reason: typeof known.reason === "string" && known.reason ? known.reason : "It ended.",
    exitCode: typeof known.exit_code === "number" ? known.exit_code : null,
  };
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
