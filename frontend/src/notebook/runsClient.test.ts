import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { FrameError } from "../crdt/frames";
import { RunsClient, RunsError, type RunsHandlers } from "./runsClient";

interface Message {
  type: string;
  [key: string]: unknown;
}

class FakeRuns {
  sent: Message[] = [];
  seen: Message[] = [];
  seq = 0;
  refused: FrameError[] = [];
  isOpen = false;
  #handlers: RunsHandlers | null = null;
  #ids = 0;
  readonly client: RunsClient;

  constructor() {
    const seqNow = (): number => this.seq;
    this.client = new RunsClient({
      log: {
        get seq() {
          return seqNow();
        },
        receive: (message: Message) => {
          this.seen.push(message);
          if (typeof message.seq === "number") this.seq = message.seq;
        },
      },
      connect: (handlers) => {
        this.#handlers = handlers;
        return {
          send: (data) => {
            if (this.isOpen) this.sent.push(JSON.parse(data) as Message);
            return this.isOpen;
          },
          reconnect: () => this.drop(),
          close: () => (this.isOpen = false),
        };
      },
      onRefused: (error) => this.refused.push(error),
      newId: () => `id-${String((this.#ids += 1))}`,
    });
  }

  open(answer: Message = { type: "snapshot", seq: 1, kernel: null, cells: {} }): void {
    this.isOpen = true;
    this.#handlers?.onOpen();
    this.say(answer);
  }

  connected(): void {
    this.#handlers?.onOpen();
  }

  say(message: Message): void {
    this.#handlers?.onMessage(JSON.stringify(message));
  }

  drop(): void {
    this.isOpen = false;
    this.#handlers?.onClose(1006, false);
  }

  of(type: string): Message[] {
    return this.sent.filter((message) => message.type === type);
  }
}

const cells = [{ cell_id: "c1", source: "1 + 1" }];
let runs: FakeRuns;
beforeEach(() => {
  vi.useFakeTimers();
  runs = new FakeRuns();
});
afterEach(() => vi.useRealTimers());

describe("right after the connection is made, before what was missed has come", () => {
  const connect = (): void => {
    runs.isOpen = true;
    runs.connected();
  };

  it("sends what waited, behind the question for what was missed", () => {
    void runs.client.run(cells);
    connect();
    expect(runs.sent.map((message) => message.type)).toEqual(["resume", "run"]);
  });

  it("sends a run at once, and only once", () => {
    connect();
    void runs.client.run(cells);
    runs.say({ type: "snapshot", seq: 1, kernel: null, cells: {} });
    expect(runs.of("run")).toHaveLength(1);
  });

  it("leaves it to the hub to interrupt what was sent", () => {
    connect();
    let isSettled = false;
    void runs.client.run(cells).catch(() => (isSettled = true));
    runs.client.interrupt();
    expect(runs.of("interrupt")).toHaveLength(1);
    expect(runs.client.sending.value.size).toBe(1);
    expect(isSettled).toBe(false);
  });
});

describe("bad input", () => {
  it("raises what the hub refused", async () => {
    runs.open();
    const done = runs.client.run(cells);
    runs.say({ type: "refused", request_id: "id-1", error: { code: "quota_exceeded", message: "Too many kernels." } });
    await expect(done).rejects.toThrow("Too many kernels.");
    expect(runs.client.sending.value.size).toBe(0);
  });

  it("reports a refusal that belongs to no run", () => {
    runs.open();
    runs.say({ type: "refused", error: { code: "viewer", message: "Viewers cannot." } });
    expect(runs.refused.map((error) => error.code)).toEqual(["viewer"]);
  });

  it("ignores messages and answers it does not know", () => {
    runs.open();
    runs.say({ type: "news" });
    runs.say({ type: "reply", id: "nobody", content: {} });
    runs.say({ type: "accepted", request_id: "nobody" });
    expect(runs.refused).toEqual([]);
  });

  it("gives up on a completion that is not answered", async () => {
    runs.open();
    const answer = runs.client.complete("x.", 2);
    const failed = expect(answer).rejects.toBeInstanceOf(RunsError);
    await vi.advanceTimersByTimeAsync(11_000);
    await failed;
  });

  it("says that orders need a connection", () => {
    runs.client.restart();
    expect(runs.refused.map((error) => error.code)).toEqual(["disconnected"]);
  });
});

describe("runs", () => {
  it("asks for what it missed as the first message of each connection", () => {
    runs.open();
    runs.seq = 42;
    runs.drop();
    runs.open({ type: "resumed", seq: 42 });
    expect(runs.of("resume").map((message) => message.seq)).toEqual([0, 42]);
    expect(runs.sent[0]?.type).toBe("resume");
  });

  it("sends sources, and is done when the hub accepted", async () => {
    runs.open();
    const done = runs.client.run(cells);
    expect([...runs.client.sending.value]).toEqual(["c1"]);
    expect(runs.of("run")).toEqual([{ type: "run", request_id: "id-1", cells }]);
    runs.say({ type: "accepted", request_id: "id-1", run_ids: ["r"] });
    await done;
    expect(runs.client.sending.value.size).toBe(0);
  });

  it("sends a run again under the same id when the connection broke before it was accepted", async () => {
    runs.open();
    const done = runs.client.run(cells);
    runs.drop();
    runs.open({ type: "resumed", seq: 1 });
    expect(runs.of("run").map((message) => message.request_id)).toEqual(["id-1", "id-1"]);
    runs.say({ type: "accepted", request_id: "id-1", run_ids: ["r"] });
    await done;
    runs.drop();
    runs.open({ type: "resumed", seq: 1 });
    expect(runs.of("run")).toHaveLength(2);
  });

  it("keeps runs asked for while disconnected, in order, until the log is up to date", () => {
    void runs.client.run([{ cell_id: "a", source: "1" }]);
    void runs.client.run([{ cell_id: "b", source: "2" }]);
    runs.isOpen = true;
    expect(runs.of("run")).toEqual([]);
    runs.open();
    expect(runs.sent.map((message) => message.type)).toEqual(["resume", "run", "run"]);
    expect(runs.of("run").map((message) => message.request_id)).toEqual(["id-1", "id-2"]);
  });

  it("does not start a waiting run after it was interrupted while disconnected", async () => {
    const done = runs.client.run(cells);
    const cancelled = expect(done).rejects.toMatchObject({ error: { code: "cancelled" } });
    runs.client.interrupt();
    await cancelled;
    runs.open();
    expect(runs.of("run")).toEqual([]);
  });

  it("hands operations to the log as they come", () => {
    runs.open();
    runs.say({ type: "ops", ops: [{ op: "queued", seq: 2 }] });
    expect(runs.seen.map((message) => message.type)).toEqual(["snapshot", "ops"]);
  });

  it("answers completions, and fails them when the connection breaks", async () => {
    runs.open();
    const first = runs.client.complete("pri", 3);
    runs.say({ type: "reply", id: "id-1", content: { matches: ["print"] } });
    await expect(first).resolves.toEqual({ matches: ["print"] });
    const second = runs.client.inspect("print", 5);
    runs.drop();
    await expect(second).rejects.toBeInstanceOf(RunsError);
  });
});
