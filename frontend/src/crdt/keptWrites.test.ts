import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { KeptWrites } from "./keptWrites";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A storage that is done with what it was asked about when the test says so. */
function storage() {
  const asked: { done: () => void; fail: () => void }[] = [];
  const confirm = () => new Promise<void>((done, fail) => asked.push({ done, fail: () => fail(new Error("full")) }));
  return { asked, confirm };
}

describe("what is kept in the browser", () => {
  it("is done once the storage says so, asked once for a burst", async () => {
    const { asked, confirm } = storage();
    const writes = new KeptWrites(confirm);
    expect(writes.isDone.value).toBe(true);
    for (let n = 0; n < 5; n += 1) writes.note();
    expect(writes.isDone.value).toBe(false);
    await vi.advanceTimersByTimeAsync(150);
    expect(asked).toHaveLength(1);
    expect(writes.isDone.value).toBe(false);
    asked[0]?.done();
    await vi.advanceTimersByTimeAsync(0);
    expect(writes.isDone.value).toBe(true);
  });

  it("is not done while something came after the question", async () => {
    const { asked, confirm } = storage();
    const writes = new KeptWrites(confirm);
    writes.note();
    await vi.advanceTimersByTimeAsync(150);
    writes.note();
    asked[0]?.done();
    await vi.advanceTimersByTimeAsync(0);
    expect(writes.isDone.value).toBe(false);
    await vi.advanceTimersByTimeAsync(150);
    asked[1]?.done();
    await vi.advanceTimersByTimeAsync(0);
    expect(writes.isDone.value).toBe(true);
  });

  it("is not done while the storage fails, and asked about again", async () => {
    const { asked, confirm } = storage();
    const writes = new KeptWrites(confirm);
    writes.note();
    await vi.advanceTimersByTimeAsync(150);
    asked[0]?.fail();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(writes.isDone.value).toBe(false);
    asked[1]?.done();
    await vi.advanceTimersByTimeAsync(0);
    expect(writes.isDone.value).toBe(true);
  });

  it("is asked about no more when its document is closed", async () => {
    const { asked, confirm } = storage();
    const writes = new KeptWrites(confirm);
    writes.note();
    writes.dispose();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toHaveLength(0);
  });
});
