import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { KeptWrites } from "./keptWrites";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Writes to a storage that is done with what it was asked about when the test says so. */
function opened() {
  const asked: { done: () => void; fail: () => void }[] = [];
  const writes = new KeptWrites(() => new Promise<void>((done, fail) => asked.push({ done, fail: () => fail(new Error("full")) })));
  const isDoneAfter = async (ms: number): Promise<boolean> => {
    await vi.advanceTimersByTimeAsync(ms);
    return writes.isDone.value;
  };
  return { asked, writes, isDoneAfter };
}

describe("what is kept in the browser", () => {
  it("is done once the storage says so, asked once for a burst", async () => {
    const { asked, writes, isDoneAfter } = opened();
    expect(writes.isDone.value).toBe(true);
    for (let n = 0; n < 5; n += 1) writes.note();
    expect(writes.isDone.value).toBe(false);
    expect(await isDoneAfter(150)).toBe(false);
    expect(asked).toHaveLength(1);
    asked[0]?.done();
    expect(await isDoneAfter(0)).toBe(true);
  });

  it("is not done while something came after the question", async () => {
    const { asked, writes, isDoneAfter } = opened();
    writes.note();
    await isDoneAfter(150);
    writes.note();
    asked[0]?.done();
    expect(await isDoneAfter(0)).toBe(false);
    await isDoneAfter(150);
    asked[1]?.done();
    expect(await isDoneAfter(0)).toBe(true);
  });

  it("is not done while the storage fails, and asked about again", async () => {
    const { asked, writes, isDoneAfter } = opened();
    writes.note();
    await isDoneAfter(150);
    asked[0]?.fail();
    expect(await isDoneAfter(5_000)).toBe(false);
    asked[1]?.done();
    expect(await isDoneAfter(0)).toBe(true);
  });

  it("is asked about no more when its document is closed", async () => {
    const { asked, writes, isDoneAfter } = opened();
    writes.note();
    writes.dispose();
    await isDoneAfter(10_000);
    expect(asked).toHaveLength(0);
  });
});
