import { describe, expect, it } from "vitest";

import { completionResult } from "./completion";
import { highlightLines } from "./highlight";
import { languageOfCell, languageOfKernel } from "./languages";
import { LiveEditors } from "./liveEditors";
import { toCodePoints, toUtf16 } from "./positions";

describe("cursor positions", () => {
  it("convert between UTF-16 units and code points", () => {
    const text = "a😀é𝒳b";
    expect(toCodePoints(text, text.length)).toBe(5);
    expect(toUtf16(text, 2)).toBe(3);
    for (let points = 0; points <= 5; points += 1) expect(toCodePoints(text, toUtf16(text, points))).toBe(points);
  });

  it("stay inside the text", () => {
    expect(toUtf16("ab", 99)).toBe(2);
    expect(toCodePoints("ab", 99)).toBe(2);
  });
});

describe("completions", () => {
  it("are none for an answer of another shape", () => {
    expect(completionResult("x", {})).toBeNull();
    expect(completionResult("x", { matches: [], cursor_start: 0, cursor_end: 1 })).toBeNull();
    expect(completionResult("x", { matches: "no", cursor_start: 0, cursor_end: 1 })).toBeNull();
  });

  it("replace the range the kernel names, behind an emoji too", () => {
    const code = "'😀'; os.pa";
    const result = completionResult(code, {
      matches: ["os.path", "os.pardir"],
      cursor_start: 5,
      cursor_end: 10,
      metadata: { _jupyter_types_experimental: [{ text: "os.path", type: "module", signature: "" }] },
    });
    expect(result?.from).toBe(6);
    expect(code.slice(result?.from, result?.to)).toBe("os.pa");
    expect(result?.options[0]).toMatchObject({ label: "os.path", type: "namespace" });
  });
});

describe("static code", () => {
  it("keeps every character of the source, line by line", () => {
    const code = 'def f(x):\n\t"""doc"""\n\n    return x + 1  # done\n';
    expect(highlightLines(code, "python").map((line) => line.map((token) => token.text).join("")).join("\n")).toBe(code);
  });

  it("colours Python's words", () => {
    const tokens = highlightLines("import os  # why", "python")[0] ?? [];
    expect(tokens.find((token) => token.text === "import")?.class).toBe("tok-keyword");
    expect(tokens.find((token) => token.text.startsWith("#"))?.class).toBe("tok-comment");
  });

  it("is plain for text of no language", () => {
    expect(highlightLines("a\nb", "plain")).toEqual([[{ text: "a", class: "" }], [{ text: "b", class: "" }]]);
  });
});

describe("languages", () => {
  it("follow the kernel, and the cell magic", () => {
    expect(languageOfKernel("python3")).toBe("python");
    expect(languageOfKernel("typescript")).toBe("typescript");
    expect(languageOfKernel("cobol")).toBe("plain");
    expect(languageOfCell("code", "python", "%%bash -e")).toBe("shell");
    expect(languageOfCell("code", "python", "%%time")).toBe("python");
    expect(languageOfCell("markdown", "python", "")).toBe("markdown");
  });
});

describe("live editors", () => {
  it("are at most as many as allowed, and never take the one being typed in", () => {
    const idle: (() => void)[] = [];
    const live = new LiveEditors((id) => id === "typing", (callback) => idle.push(callback), 3);
    for (const id of ["typing", "a", "b", "c", "d"]) live.want(id);
    expect(live.liveCount).toBe(3);
    expect(["typing", "a", "b", "c", "d"].filter((id) => live.isLive(id).value)).toEqual(["typing", "c", "d"]);
    live.forget("c");
    expect(live.liveCount).toBe(2);
  });
});
