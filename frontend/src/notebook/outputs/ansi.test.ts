import { describe, expect, it } from "vitest";

import { changeStyle, paletteColour, parseAnsi, PLAIN, styleToCss, withoutAnsi } from "./ansi";

const texts = (text: string): [string, object][] =>
  parseAnsi(text).runs.map(({ text: shown, style }) => [shown, Object.fromEntries(Object.entries(style).filter(([name, value]) => value !== PLAIN[name as keyof typeof PLAIN]))]);

describe("ANSI text", () => {
  it("leaves out sequences that are broken, unknown or never end", () => {
    expect(texts("a\x1b[?25lb\x1b]0;title\x07c\x1b")).toEqual([["a", {}], ["b", {}], ["c", {}]]);
    expect(texts("\x1b[38;5;999mx\x1b[38;2;1mx\x1b[99999mx")).toEqual([["x", {}], ["x", {}], ["x", {}]]);
  });

  it("knows 16 colours, 256 colours and true colour", () => {
    expect(texts("\x1b[31mr\x1b[92mg\x1b[38;5;208mo\x1b[48;2;1;2;255mb\x1b[0m.")).toEqual([
      ["r", { foreground: 1 }],
      ["g", { foreground: 10 }],
      ["o", { foreground: "#ff8700" }],
      ["b", { foreground: "#ff8700", background: "#0102ff" }],
      [".", {}],
    ]);
    expect(paletteColour(244)).toBe("#808080");
    expect(paletteColour(9)).toBe(9);
  });

  it("adds attributes up and takes them away one by one", () => {
    const style = changeStyle(PLAIN, "1;3;4;7;9");
    expect(style).toMatchObject({ bold: true, italic: true, underline: true, inverse: true, strike: true });
    expect(changeStyle(style, "22;23;24;27;29")).toEqual(PLAIN);
    expect(changeStyle(style, "")).toBe(PLAIN);
  });

  it("goes on with the style a text before it ended in", () => {
    const { end } = parseAnsi("\x1b[1;34mblue");
    expect(parseAnsi("still", end).runs[0]?.style).toMatchObject({ bold: true, foreground: 4 });
  });

  it("swaps colours for inverse text, also those of the page", () => {
    expect(styleToCss(changeStyle(PLAIN, "7"))?.style).toEqual({ color: "var(--out-bg)", backgroundColor: "var(--out-fg)" });
    expect(styleToCss(changeStyle(PLAIN, "7;31"))).toEqual({ class: "ansi-bg-1", style: { color: "var(--out-bg)" } });
    expect(styleToCss(PLAIN)).toBeNull();
  });

  it("gives the bare text", () => {
    expect(withoutAnsi("\x1b[31mValueError\x1b[0m: x")).toBe("ValueError: x");
  });
});
