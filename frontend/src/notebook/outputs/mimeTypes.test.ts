// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";

import { parseFromFrame, safeLink } from "./frameProtocol";
import { asText, chooseMime, sizeOf } from "./mimeTypes";

describe("the choice of a MIME type", () => {
  it("prefers what shows most", () => {
    const order = ["text/html", "text/markdown", "text/latex", "image/svg+xml", "image/png", "application/pdf", "application/json", "text/plain"];
    const data: Record<string, string> = {};
    for (const mime of order.toReversed()) {
      data[mime] = "x";
      expect(chooseMime({ data })?.mime).toBe(mime);
    }
  });

  it("takes a blob as well as a value in the message", () => {
    const blob = { sha256: "ab", size_bytes: 9 };
    expect(chooseMime({ data: { "text/plain": "x" }, blobs: { "image/png": blob } })).toEqual({ mime: "image/png", renderer: "image", payload: { kind: "blob", blob } });
  });

  it("finds nothing in what cannot be drawn", () => {
    expect(chooseMime({ data: {} })).toBeNull();
    expect(chooseMime({ data: { "application/vnd.jupyter.widget-view+foo": "x" } })).toBeNull();
    expect(chooseMime({ data: { "application/vnd.custom+json": {} } })?.renderer).toBe("json");
  });

  it("reads values of every form", () => {
    expect(asText(["a\n", "b"])).toBe("a\nb");
    expect(asText({ a: 1 })).toContain('"a": 1');
    expect(sizeOf({ "image/png": { width: 300, height: "200" } }, "image/png")).toEqual({ width: 300, height: 200 });
    expect(sizeOf({ width: -4, height: 1e9 }, "image/png")).toEqual({ width: undefined, height: undefined });
  });
});

describe("what comes out of a frame", () => {
  it.each([null, 1, "resize", {}, { type: "render" }, { type: "resize", height: "9" }, { type: "resize", height: Infinity }, { type: "resize", height: -1 }, { type: "error" }, { type: "open-link", url: 5 }, { type: "open-link", url: "x".repeat(10_000) }])(
    "%j is refused",
    (data) => {
      expect(parseFromFrame(data)).toBeNull();
    },
  );

  it("is taken apart, so that nothing else comes with it", () => {
    expect(parseFromFrame({ type: "resize", height: 10.2, extra: 1 })).toEqual({ type: "resize", height: 11 });
    expect(parseFromFrame({ type: "error", message: "x".repeat(9_000) })).toEqual({ type: "error", message: "x".repeat(2_000) });
  });

  it("opens web and mail addresses and no others", () => {
    expect(safeLink("https://example.org/a?b")).toBe("https://example.org/a?b");
    expect(safeLink("mailto:a@example.org")).toBe("mailto:a@example.org");
    for (const url of ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "blob:null/1", "/relative", "", " java\nscript:alert(1)"]) expect(safeLink(url)).toBeNull();
  });
});
