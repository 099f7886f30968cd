import { signal, type ReadonlySignal } from "@preact/signals";
import { hubUrl } from "./address";

/** How a socket ended, by the hub's close codes (docs: protocols, Sockets). */
export const CloseCode = {
  notSignedIn: 4401,
  notAllowed: 4403,
  tooSlow: 4408,
  wrongEpoch: 4409,
  tooLarge: 4413,
  tooMany: 4429,
  tryAgain: 4503,
} as const;

/** Codes after which another try would be refused in the same way. */
const FINAL_CODES: ReadonlySet<number> = new Set([CloseCode.notSignedIn, CloseCode.notAllowed, CloseCode.wrongEpoch]);

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 15_000;
const SLOW_START_MS = 5_000; // after 4429: the hub asked for patience
const STABLE_AFTER_MS = 5_000; // open this long, a connection counts as good and the delay starts anew

/** Wait before try number `attempt` (from 0): doubling, at most 15 s, spread over its upper half. */
export function reconnectDelay(attempt: number, closeCode: number, random: () => number = Math.random): number {
  const floor = closeCode === CloseCode.tooMany ? SLOW_START_MS : FIRST_DELAY_MS;
  const delay = Math.min(LONGEST_DELAY_MS, floor * 2 ** Math.min(attempt, 10));
  return Math.round(delay * (0.5 + random() / 2));
}

export function isFinal(closeCode: number): boolean {
  return FINAL_CODES.has(closeCode);
}

export type SocketState = "connecting" | "open" | "waiting" | "closed";

export interface HubSocketOptions {
  /** Path within the hub, or a function of it when it changes from try to try. */
  url: string | (() => string);
  onOpen?: () => void;
  onMessage: (data: string | ArrayBuffer) => void;
  /** Each end of a connection; with `final` no further try follows. */
  onClose?: (code: number, final: boolean) => void;
  random?: () => number;
}

/** A WebSocket that comes back by itself until it is closed or finally refused. */
export class HubSocket {
  readonly #state = signal<SocketState>("connecting");
  readonly state: ReadonlySignal<SocketState> = this.#state;
  /** The last close code, 0 before the first end. */
  closeCode = 0;
  #socket: WebSocket | null = null;
  #attempt = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #stableTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: HubSocketOptions) {
    window.addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    this.#connect();
  }

  /** Sends if the connection is open; false means nothing was sent. */
  send(data: string | Uint8Array<ArrayBuffer>): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    return true;
  }

  /** Bytes that were sent but have not left this machine. */
  get bufferedBytes(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** Ends this connection and starts another at once, as after a protocol error. */
  reconnect(): void {
    this.#drop();
    this.#attempt = 0;
    this.#connect();
  }

  /** Ends for good. */
  close(): void {
    window.removeEventListener("online", this.#hurry);
    document.removeEventListener("visibilitychange", this.#hurry);
    this.#drop();
    this.#state.value = "closed";
  }

  #connect(): void {
    if (this.#state.peek() === "closed") return;
    this.#state.value = "connecting";
    const { url } = this.options;
    const address = new URL(hubUrl(typeof url === "function" ? url() : url), location.href);
    address.protocol = address.protocol === "https:" || address.protocol === "wss:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#state.value = "open";
      this.#stableTimer = setTimeout(() => (this.#attempt = 0), STABLE_AFTER_MS);
      this.options.onOpen?.();
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.options.onMessage(event.data);
    socket.onclose = (event) => this.#ended(event.code);
    this.#socket = socket;
  }

  #ended(code: number): void {
    this.#drop();
    this.closeCode = code;
    const final = isFinal(code);
    if (final) this.close();
    else {
      this.#state.value = "waiting";
      this.#retryTimer = setTimeout(() => this.#connect(), reconnectDelay(this.#attempt++, code, this.options.random));
    }
    this.options.onClose?.(code, final);
  }

  #drop(): void {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#stableTimer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState <= WebSocket.OPEN) socket.close(1000);
  }

  /** The network or the person is back: do not wait out the delay. */
  readonly #hurry = (): void => {
    if (this.#state.peek() !== "waiting" || document.visibilityState === "hidden") return;
    clearTimeout(this.#retryTimer);
    this.#connect();
  };
}
