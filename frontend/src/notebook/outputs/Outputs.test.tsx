import { render } from "preact";
import { afterEach, describe, expect, it, vi } from "vitest";

import { createOutputLog, type Output, type OutputLog } from "../../store/outputLog";
import { Outputs } from "./Outputs";

function show(outputs: Output[]): { log: OutputLog; root: HTMLElement } {
  const log = createOutputLog((callback) => { callback(); });
  log.receive({ type: "snapshot", seq: 1, kernel: null, cells: { a: { state: "ok", outputs } } });
  const root = document.createElement("div");
  document.body.append(root);
  render(<Outputs cellId="a" documentId="doc" log={log} />, root);
  return { log, root };
}

afterEach(() => {
  for (const root of document.body.children) render(null, root);
  document.body.replaceChildren();
});

const stream = (text: string, more: object = {}): Output => ({ output_type: "stream", name: "stdout", text, ...more });
const display = (data: Record<string, string>, more: object = {}): Output => ({ output_type: "display_data", data, metadata: {}, ...more });

describe("outputs", () => {
  it("show text with its colours", () => {
    const { root } = show([stream("plain \x1b[31mred\x1b[0m")]);
    expect(root.querySelector(".out-text")?.textContent).toBe("plain red");
    expect(root.querySelector(".ansi-fg-1")?.textContent).toBe("red");
  });

  it("show what is left out of a long text and where all of it is", () => {
    const { root } = show([stream("head\n", { tail: "tail\n", omitted: 12_345, chunks: [{ sha256: "c", size_bytes: 2_000_000 }] })]);
    expect(root.textContent).toContain("12,345 characters not shown");
    expect(root.querySelector<HTMLAnchorElement>(".out-omitted a")?.getAttribute("href")).toBe("/api/hub/v1/documents/doc/text?cell_id=a&index=0");
  });

  it("draw nothing of a text that was taken back until there is text again", () => {
    const { log, root } = show([stream("", { name: "stderr" })]);
    expect(root.children).toHaveLength(0);
    log.receive({ type: "ops", ops: [{ op: "stream", seq: 2, at: 0, cell_id: "a", run_id: "r", index: 0, name: "stderr", text: "again" }] });
    return vi.waitFor(() => { expect(root.querySelector(".out-stderr")?.textContent).toBe("again"); });
  });

  it("say that a limit was reached", () => {
    const { root } = show([stream("h", { tail: "t", omitted: 5, chunks: [{ sha256: "c", size_bytes: 52_428_800 }], limit_reached: true })]);
    expect(root.textContent).toContain("Only the first 50 MB");
  });

  it("draw only what changed", () => {
    const { log, root } = show([stream("first\n"), stream("second\n", { name: "stderr" })]);
    const first = root.querySelector(".out-stdout .out-block")?.firstChild;
    log.receive({ type: "ops", ops: [{ op: "stream", seq: 2, at: 0, cell_id: "a", run_id: "r", index: 1, name: "stderr", text: "more\n" }] });
    return vi.waitFor(() => {
      expect(root.querySelector(".out-stderr")?.textContent).toBe("second\nmore\n");
      expect(root.querySelector(".out-stdout .out-block")?.firstChild).toBe(first);
    });
  });

  it("show long text in a box that opens by a click", async () => {
    const { root } = show([stream("line\n".repeat(500))]);
    expect(root.querySelector(".out-box")).not.toBeNull();
    const button = [...root.querySelectorAll("button")].find((found) => found.textContent.includes("Show all 500 lines"));
    button?.click();
    await vi.waitFor(() => { expect(root.querySelector(".out-box")).toBeNull(); });
  });

  it("fold away with one click and remember it", async () => {
    const { root, log } = show([stream("line one\nline two\n")]);
    root.querySelector<HTMLElement>(".out-bar")?.click();
    await vi.waitFor(() => { expect(root.querySelector(".out-text")).toBeNull(); });
    expect(root.textContent).toContain("1 output: line one");
    const again = document.createElement("div");
    document.body.append(again);
    render(<Outputs cellId="a" documentId="doc" log={log} />, again);
    expect(again.querySelector(".out-text")).toBeNull();
    root.querySelector<HTMLElement>(".out-bar")?.click();
  });

  it("show pictures from the message and from blobs", () => {
    const { root } = show([
      display({ "image/png": "AAAA\n", "text/plain": "<Figure>" }, { metadata: { "image/png": { width: 40 } } }),
      display({ "text/plain": "p" }, { blobs: { "image/svg+xml": { sha256: "ab", size_bytes: 9 } } }),
      display({ "image/svg+xml": "<svg onload='x()'/>" }),
    ]);
    const sources = [...root.querySelectorAll("img")].map((image) => image.getAttribute("src"));
    expect(sources).toEqual(["data:image/png;base64,AAAA", "/api/hub/v1/documents/doc/blobs/ab?type=image%2Fsvg%2Bxml", "data:image/svg+xml;charset=utf-8,%3Csvg%20onload%3D'x()'%2F%3E"]);
    expect(root.querySelector("img")?.getAttribute("alt")).toBe("<Figure>");
    expect(root.querySelector("svg")).toBeNull();
  });

  it("never put a kernel's HTML or JavaScript into the page", () => {
    const { root } = show([display({ "text/html": "<script>window.hacked = 1</script><b onclick='x()'>b</b>" }), display({ "application/javascript": "window.hacked = 1" })]);
    expect(root.querySelectorAll("iframe[sandbox='allow-scripts']")).toHaveLength(2);
    expect(root.querySelector("b, script")).toBeNull();
    expect("hacked" in window).toBe(false);
  });

  it("show errors with their traceback, or at least their message", () => {
    const { root } = show([
      { output_type: "error", ename: "ValueError", evalue: "no", traceback: ["\x1b[31mTraceback\x1b[0m", "ValueError: no"] },
      { output_type: "error", ename: "Bare", evalue: "message", traceback: [] },
    ]);
    expect([...root.querySelectorAll(".out-error")].map((error) => error.textContent)).toEqual(["Traceback\nValueError: no", "Bare: message"]);
  });

  it("show limits of the hub, and say when an output cannot be shown", () => {
    const { root } = show([{ output_type: "notice", code: "too_many_outputs", text: "Enough." }, display({ "application/x-strange": "x" })]);
    expect(root.textContent).toContain("Enough.");
    expect(root.textContent).toContain("application/x-strange");
  });

  it("load large text from its blob and offer another try when that fails", async () => {
    const answers = [new Response("", { status: 503 }), new Response("<pre>large</pre>")];
    vi.stubGlobal("fetch", vi.fn(() => Promise.resolve(answers.shift())));
    const { root } = show([display({}, { blobs: { "text/markdown": { sha256: "ab", size_bytes: 99_000 } } })]);
    expect(root.textContent).toContain("Loading 97 kB");
    await vi.waitFor(() => { expect(root.textContent).toContain("could not be loaded"); });
    root.querySelector<HTMLElement>(".out-notice button")?.click();
    await vi.waitFor(() => { expect(root.querySelector(".out-markdown")?.textContent).toContain("large"); });
  });

  it("draw the first fifty of very many at once", async () => {
    const { root } = show(Array.from({ length: 400 }, (_, at) => display({ "text/plain": `output ${String(at)}` })));
    expect(root.querySelectorAll(".out-text")).toHaveLength(50);
    [...root.querySelectorAll("button")].find((found) => found.textContent.includes("350 more"))?.click();
    await vi.waitFor(() => { expect(root.querySelectorAll(".out-text")).toHaveLength(400); });
  });
});
