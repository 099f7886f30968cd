import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CloseCode, HubSocket, isFinal, reconnectDelay } from "./socket";

class FakeWebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 3;
  static made: FakeWebSocket[] = [];
  readyState = 0;
  binaryType = "blob";
  bufferedAmount = 0;
  sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor(readonly url: URL) {
    FakeWebSocket.made.push(this);
  }
  send(data: unknown): void {
    this.sent.push(data);
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  end(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

const latest = () => {
  const socket = FakeWebSocket.made.at(-1);
  if (!socket) throw new Error("No socket was made.");
  return socket;
};

describe("reconnectDelay", () => {
  test("doubles, and never passes 15 s", () => {
    const delays = [0, 1, 2, 3, 20].map((attempt) => reconnectDelay(attempt, 1006, () => 1));
    expect(delays).toEqual([250, 500, 1000, 2000, 15_000]);
  });

  test("spreads over the upper half, so that browsers do not return all at once", () => {
    expect(reconnectDelay(3, 1006, () => 0)).toBe(1000);
  });

  test("waits longer when the hub said that there are too many", () => {
    expect(reconnectDelay(0, CloseCode.tooMany, () => 1)).toBe(5000);
  });
});

test("only refusals that would be repeated are final", () => {
  expect([4401, 4403, 4409].every(isFinal)).toBe(true);
  expect([1000, 1001, 1006, 1012, 4408, 4413, 4429, 4503].some(isFinal)).toBe(false);
});

describe("HubSocket", () => {
  let socket: HubSocket;
  const onClose = vi.fn();
  const onMessage = vi.fn();
  const onOpen = vi.fn();

  beforeEach(() => {
    vi.useFakeTimers();
    FakeWebSocket.made = [];
    vi.stubGlobal("WebSocket", FakeWebSocket);
    for (const listener of [onClose, onMessage, onOpen]) listener.mockReset();
    socket = new HubSocket({ url: "/ws/x", onOpen, onMessage, onClose, random: () => 1 });
  });
  afterEach(() => {
    socket.close();
    vi.useRealTimers();
  });

  test("uses a WebSocket address of this host and binary frames as buffers", () => {
    expect(latest().url.href).toMatch(/^ws:\/\/.*\/ws\/x$/);
    expect(latest().binaryType).toBe("arraybuffer");
  });

  test("sends only while it is open", () => {
    expect(socket.send("early")).toBe(false);
    latest().open();
    expect(socket.send("now")).toBe(true);
    expect(latest().sent).toEqual(["now"]);
  });

  test("comes back after an end, later each time", () => {
    latest().open();
    latest().end(1006);
    expect(socket.state.value).toBe("waiting");
    vi.advanceTimersByTime(249);
    expect(FakeWebSocket.made).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(FakeWebSocket.made).toHaveLength(2);
    latest().end(1006);
    vi.advanceTimersByTime(499);
    expect(FakeWebSocket.made).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(FakeWebSocket.made).toHaveLength(3);
  });

  test("a connection that held for a while starts the delays anew", () => {
    for (let time = 0; time < 4; time++) {
      latest().end(1006);
      vi.advanceTimersByTime(15_000);
    }
    latest().open();
    vi.advanceTimersByTime(5_000);
    latest().end(1006);
    const before = FakeWebSocket.made.length;
    vi.advanceTimersByTime(250);
    expect(FakeWebSocket.made).toHaveLength(before + 1);
  });

  test("a connection that ends at once does not start them anew", () => {
    latest().end(1006);
    vi.advanceTimersByTime(250);
    latest().open();
    latest().end(1006);
    const before = FakeWebSocket.made.length;
    vi.advanceTimersByTime(250);
    expect(FakeWebSocket.made).toHaveLength(before);
  });

  test("a final refusal ends it and says so", () => {
    latest().end(4403);
    vi.advanceTimersByTime(60_000);
    expect(FakeWebSocket.made).toHaveLength(1);
    expect(onClose).toHaveBeenCalledWith(4403, true);
    expect(socket.state.value).toBe("closed");
  });

  test("does not wait when the network is back", () => {
    latest().end(1006);
    window.dispatchEvent(new Event("online"));
    expect(FakeWebSocket.made).toHaveLength(2);
    vi.advanceTimersByTime(10_000);
    expect(FakeWebSocket.made).toHaveLength(2);
  });

  test("nothing of a closed socket is heard, and it never comes back", () => {
    const old = latest();
    old.open();
    socket.close();
    expect(old.onmessage).toBeNull();
    window.dispatchEvent(new Event("online"));
    vi.advanceTimersByTime(60_000);
    expect(FakeWebSocket.made).toHaveLength(1);
  });

  test("asks for its address before each try", () => {
    let count = 0;
    const other = new HubSocket({ url: () => `/ws/${String(++count)}`, onMessage, random: () => 1 });
    latest().end(1006);
    vi.advanceTimersByTime(250);
    expect(latest().url.pathname).toBe("/ws/2");
    other.close();
  });
});
