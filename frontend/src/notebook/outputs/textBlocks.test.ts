import { describe, expect, it } from "vitest";

import { BLOCK_UNITS, countLines, toBlocks } from "./textBlocks";

const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, at) => `line ${String(from + at)}\n`).join("");

describe("blocks of a long text", () => {
  it("are whole lines and together the text", () => {
    const text = lines(0, 20_000) + "no line end";
    const blocks = toBlocks(text, 0);
    expect(blocks.map((block) => block.text).join("")).toBe(text);
    expect(blocks.slice(0, -1).every((block) => block.text.endsWith("\n"))).toBe(true);
    expect(new Set(blocks.map((block) => block.key)).size).toBe(blocks.length);
    expect(blocks.reduce((sum, block) => sum + block.lineCount, 0)).toBe(20_001);
  });

  it("stay the same ones when text is appended", () => {
    const before = toBlocks(lines(0, 5_000), 0);
    const after = toBlocks(lines(0, 5_100), 0, undefined, before);
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    expect(after.filter((block) => before.includes(block)).length).toBe(before.length - 1);
  });

  it("stay the same ones when the start is cut", () => {
    const whole = lines(0, 20_000);
    const cut = whole.indexOf("line 3000\n");
    const before = toBlocks(whole, 0);
    const after = toBlocks(whole.slice(cut), cut, undefined, before);
    expect(after.filter((block) => !before.includes(block)).length).toBeLessThanOrEqual(1);
  });

  it("carry a colour over their ends, and only what it reaches changes with it", () => {
    const body = lines(0, 3_000);
    const red = toBlocks(`\x1b[31m${body}`, 0);
    expect(red.at(-1)?.runs[0]?.style.foreground).toBe(1);
    const green = toBlocks(`\x1b[32m${body}`, 0, undefined, red);
    expect(green.at(-1)?.runs[0]?.style.foreground).toBe(2);
  });

  it("may hold one line without end", () => {
    const text = "x".repeat(BLOCK_UNITS * 3);
    expect(toBlocks(text, 0)).toHaveLength(1);
    expect(toBlocks("", 0)).toEqual([]);
  });

  it("count lines as a person does", () => {
    expect([countLines(""), countLines("a"), countLines("a\n"), countLines("a\n\nb")]).toEqual([0, 1, 1, 3]);
  });
});
