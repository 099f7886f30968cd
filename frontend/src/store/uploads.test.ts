import { describe, expect, test, vi } from "vitest";
import { errorFromAnswer, HubError } from "../api/errors";
import { UploadQueue, type SendFile } from "./uploads";

/** A hub whose answers the test gives. */
function manualHub() {
  const calls: { path: string; replaces: boolean; progress: (sent: number) => void; finish: () => void; fail: (error: unknown) => void; signal: AbortSignal }[] = [];
  const send: SendFile = ({ path, replaces }, progress, signal) =>
    new Promise((resolve, reject) => {
      calls.push({ path, replaces, progress, finish: resolve, fail: reject, signal });
      signal.addEventListener("abort", () => reject(new DOMException("Cancelled", "AbortError")));
    });
  return { calls, send };
}

const file = (path: string, size = 10) => ({ path, file: new Blob(["x".repeat(size)]) });
const settle = () => new Promise((resolve) => setTimeout(resolve));
const states = (queue: UploadQueue) => queue.uploads.value.map((upload) => upload.state);

describe("UploadQueue", () => {
  test("sends two at a time, in order", async () => {
    const hub = manualHub();
    const onDone = vi.fn();
    const queue = new UploadQueue(hub.send, onDone);
    queue.add([file("a"), file("b"), file("c")]);
    expect(hub.calls.map((call) => call.path)).toEqual(["a", "b"]);
    expect(states(queue)).toEqual(["sending", "sending", "waiting"]);
    hub.calls[0]?.finish();
    await settle();
    expect(hub.calls.map((call) => call.path)).toEqual(["a", "b", "c"]);
    expect(onDone).toHaveBeenCalledWith("a");
    hub.calls[1]?.finish();
    hub.calls[2]?.finish();
    await settle();
    expect(states(queue)).toEqual(["done", "done", "done"]);
    expect(queue.isBusy.value).toBe(false);
  });

  test("tells how far a file is", () => {
    const hub = manualHub();
    const queue = new UploadQueue(hub.send);
    queue.add([file("a", 100)]);
    hub.calls[0]?.progress(40);
    expect(queue.uploads.value[0]).toMatchObject({ sentBytes: 40, sizeBytes: 100 });
  });

  test("cancelling stops the transfer and lets the next begin", async () => {
    const hub = manualHub();
    const queue = new UploadQueue(hub.send);
    queue.add([file("a"), file("b"), file("c")]);
    queue.cancel(queue.uploads.value[0]?.id ?? 0);
    await settle();
    expect(hub.calls[0]?.signal.aborted).toBe(true);
    expect(states(queue)).toEqual(["cancelled", "sending", "sending"]);
    expect(hub.calls).toHaveLength(3);
  });

  test("a file that waits is cancelled without ever being sent", async () => {
    const hub = manualHub();
    const queue = new UploadQueue(hub.send);
    queue.add([file("a"), file("b"), file("c")]);
    queue.cancelAll();
    await settle();
    expect(hub.calls.map((call) => call.path)).toEqual(["a", "b"]);
    expect(states(queue)).toEqual(["cancelled", "cancelled", "cancelled"]);
  });

  test("one refusal does not stop the others", async () => {
    const hub = manualHub();
    const queue = new UploadQueue(hub.send);
    queue.add([file("a"), file("b")]);
    hub.calls[0]?.fail(new HubError(413, "too_large", "Too large."));
    hub.calls[1]?.finish();
    await settle();
    expect(states(queue)).toEqual(["failed", "done"]);
    expect(queue.uploads.value[0]?.error?.message).toBe("Too large.");
  });

  test("a name that is taken asks, and replaces only when told to", async () => {
    const hub = manualHub();
    const queue = new UploadQueue(hub.send);
    queue.add([file("a")]);
    expect(hub.calls[0]?.replaces).toBe(false);
    hub.calls[0]?.fail(errorFromAnswer(409, '{"error":{"code":"exists","message":"x"}}'));
    await settle();
    expect(states(queue)).toEqual(["exists"]);
    queue.retry(queue.uploads.value[0]?.id ?? 0, { replaces: true });
    expect(hub.calls[1]).toMatchObject({ path: "a", replaces: true });
  });

  test("a failed file can be sent again under another name", async () => {
    const hub = manualHub();
    const queue = new UploadQueue(hub.send);
    queue.add([file("a.csv")]);
    hub.calls[0]?.fail(errorFromAnswer(0, ""));
    await settle();
    queue.retry(queue.uploads.value[0]?.id ?? 0, { path: "a 2.csv" });
    hub.calls[1]?.finish();
    await settle();
    expect(queue.uploads.value[0]).toMatchObject({ path: "a 2.csv", state: "done", error: null });
  });

  test("what is done cannot be sent twice, and clearing keeps what is under way", async () => {
    const hub = manualHub();
    const queue = new UploadQueue(hub.send);
    queue.add([file("a"), file("b")]);
    hub.calls[0]?.finish();
    await settle();
    queue.retry(queue.uploads.value[0]?.id ?? 0);
    expect(hub.calls).toHaveLength(2);
    queue.clear();
    expect(queue.uploads.value.map((upload) => upload.path)).toEqual(["b"]);
  });
});
