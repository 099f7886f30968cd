import { signal } from "@preact/signals";
import { beforeEach, expect, test, vi } from "vitest";
import type { HubSocketOptions, SocketState } from "../socket";
import { TerminalLink, type TerminalEnd } from "./terminalLink";

class ScriptedSocket {
  readonly state = signal<SocketState>("connecting");
  readonly sent: unknown[][] = [];
  isClosed = false;

  constructor(readonly options: HubSocketOptions) {}

  send(data: string): boolean {
    if (this.state.peek() !== "open") return false;
    this.sent.push(JSON.parse(data) as unknown[]);
    return true;
  }
  close(): void {
    this.isClosed = true;
    this.state.value = "closed";
  }
  open(): void {
    this.state.value = "open";
    this.options.onOpen?.();
  }
  say(...message: unknown[]): void {
    this.options.onMessage(JSON.stringify(message));
  }
  end(code: number): void {
    this.state.value = "waiting";
    this.options.onClose?.(code, false);
  }
  typed(): string {
    return this.sent.filter(([type]) => type === "stdin").map(([, text]) => text as string).join("");
  }
}

let socket: ScriptedSocket;
let shown: string;
let pending: (() => void)[];
let ends: TerminalEnd[];
let lost: number;
let isAlive: () => Promise<boolean>;
let link: TerminalLink;

beforeEach(() => {
  shown = "";
  pending = [];
  ends = [];
  lost = 0;
  isAlive = () => Promise.resolve(true);
  link = new TerminalLink({
    url: "/somewhere",
    screen: {
      write: (text, done) => {
        shown += text;
        pending.push(done);
      },
      reset: () => (shown = ""),
    },
    connect: (options) => (socket = new ScriptedSocket(options)),
    isAlive: () => isAlive(),
    onEnd: (end) => ends.push(end),
    onInputLost: () => (lost += 1),
  });
});

const drawAll = () => {
  for (const done of pending.splice(0)) done();
};

test("what is printed is shown, and what is typed is sent", () => {
  socket.open();
  socket.say("setup", {});
  socket.say("stdout", "$ ");
  link.type("ls\r");
  expect(shown).toBe("$ ");
  expect(socket.typed()).toBe("ls\r");
});

test("the hub is told how far the screen is, not how far the network is", () => {
  socket.open();
  expect(socket.sent).toEqual([["read", 0]]);
  for (let number = 0; number < 4; number++) socket.say("stdout", "x".repeat(10_000));
  expect(socket.sent).toHaveLength(1);
  drawAll();
  expect(socket.sent.slice(1)).toEqual([
    ["read", 2],
    ["read", 4],
  ]);
});

test("a new connection begins with an empty screen, its own size and its own count", () => {
  link.resize(30, 100);
  socket.open();
  expect(socket.sent).toContainEqual(["set_size", 30, 100]);
  socket.say("stdout", "x".repeat(20_000));
  socket.end(1006);
  socket.open();
  expect(shown).toBe("");
  drawAll(); // of the connection before
  expect(socket.sent.filter(([type]) => type === "read")).toEqual([
    ["read", 0],
    ["read", 0],
  ]);
});

test("a paste of ten megabytes goes out as the terminal takes it, whole and in order", () => {
  socket.open();
  const text = Array.from({ length: 1_000_000 }, (_, number) => String(number % 10)).join("").repeat(10);
  link.type(text);
  expect(socket.typed().length).toBeLessThan(150_000);
  for (let taken = 0; taken < 10_000_000; taken += 100_000) socket.say("taken", taken);
  socket.say("taken", 10_000_000);
  expect(socket.typed() === text).toBe(true);
});

test("letters beyond the basic plane are not cut in two", () => {
  socket.open();
  const text = `x${"😀".repeat(10_000)}`;
  link.type(text);
  socket.say("taken", 100_000);
  expect(socket.typed()).toBe(text);
  for (const [type, piece] of socket.sent) if (type === "stdin") expect(piece).not.toMatch(/[\ud800-\udbff]$/);
});

test("what is typed while the connection is made is sent when it is, but no book", () => {
  link.type("ls\r");
  link.type("x".repeat(2_000));
  expect(socket.typed()).toBe("");
  socket.open();
  expect(socket.typed()).toBe("ls\r");
});

test("what waits when the connection ends is not typed into the next one, and the person is told", () => {
  socket.open();
  link.type("x".repeat(1_000_000));
  socket.end(1006);
  const before = socket.typed().length;
  socket.open();
  expect(socket.typed().length).toBe(before);
  expect(lost).toBe(1);
});

test("the end is told once, with its reason", () => {
  socket.open();
  socket.say("disconnect", 1, { reason: "The shell ended.", exit_code: 0 });
  socket.say("disconnect", 1);
  expect(ends).toEqual([{ reason: "The shell ended.", exitCode: 0 }]);
  expect(socket.isClosed).toBe(true);
});

test("a terminal that is gone at the reconnection has ended; one that only cannot be reached has not", async () => {
  socket.open();
  isAlive = () => Promise.reject(new Error("no answer"));
  socket.end(1006);
  await vi.waitFor(() => expect(ends).toEqual([]));
  expect(socket.isClosed).toBe(false);
  isAlive = () => Promise.resolve(false);
  socket.end(1006);
  await vi.waitFor(() => expect(ends).toHaveLength(1));
});

test("frames that mean nothing change nothing", () => {
  socket.open();
  for (const frame of ["", "{", "null", "[]", '["stdout", 5]', '["later", {}]', '["taken", "x"]']) socket.options.onMessage(frame);
  socket.options.onMessage(new ArrayBuffer(8));
  expect(shown).toBe("");
  expect(ends).toEqual([]);
});
