import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { expectDocument, openDocument } from "./openedDocuments";

describe("documents that are opened", () => {
  const fetched = vi.fn<typeof fetch>();
  const answer = (id: string) => () => Promise.resolve(new Response(JSON.stringify({ id })));

  beforeEach(() => {
    vi.useFakeTimers();
    fetched.mockReset();
    vi.stubGlobal("fetch", fetched);
  });
  afterEach(() => {
    vi.runAllTimers();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  test("one that was expected is asked for once", async () => {
    fetched.mockImplementation(answer("d1"));
    void expectDocument("p", "a.ipynb");
    void expectDocument("p", "a.ipynb");
    expect((await openDocument("p", "a.ipynb")).id).toBe("d1");
    expect(fetched).toHaveBeenCalledTimes(1);
  });

  test("opening it again asks again: its history may be another", async () => {
    fetched.mockImplementationOnce(answer("d1")).mockImplementationOnce(answer("d2"));
    void expectDocument("p", "a.ipynb");
    await openDocument("p", "a.ipynb");
    expect((await openDocument("p", "a.ipynb")).id).toBe("d2");
  });

  test("what was expected long ago is not used", async () => {
    fetched.mockImplementationOnce(answer("old")).mockImplementationOnce(answer("new"));
    void expectDocument("p", "a.ipynb");
    await vi.advanceTimersByTimeAsync(11_000);
    expect((await openDocument("p", "a.ipynb")).id).toBe("new");
  });

  test("a refusal is told to who opens it, and the next try asks again", async () => {
    fetched.mockImplementationOnce(() => Promise.reject(new TypeError("no network"))).mockImplementationOnce(answer("d1"));
    void expectDocument("p", "a.ipynb");
    await expect(openDocument("p", "a.ipynb")).rejects.toThrow();
    expect((await openDocument("p", "a.ipynb")).id).toBe("d1");
  });
});
