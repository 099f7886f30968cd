/**
 * A long text in blocks of whole lines. Where blocks begin depends only on the place in the whole text, so that appending
 * to the end, or cutting from the start, leaves the other blocks (and what is drawn of them) alone.
 */

import { parseAnsi, PLAIN, type StyledText, type TextStyle } from "./ansi";

export const BLOCK_UNITS = 8192;

export interface TextBlock {
  /** Which part of the whole text it is. */
  readonly key: number;
  readonly text: string;
  readonly lineCount: number;
  readonly runs: readonly StyledText[];
  readonly startStyle: TextStyle;
  readonly endStyle: TextStyle;
}

/** `offset` is where `text` begins in the whole text. Blocks of `before` that did not change come back as they are. */
export function toBlocks(text: string, offset: number, startStyle: TextStyle = PLAIN, before: readonly TextBlock[] = []): TextBlock[] {
  const known = new Map(before.map((block) => [block.key, block]));
  const blocks: TextBlock[] = [];
  let style = startStyle;
  let start = 0;
  while (start < text.length) {
    const key = Math.floor((offset + start) / BLOCK_UNITS);
    // The block ends with the line that crosses into the next place.
    const lineEnd = text.indexOf("\n", (key + 1) * BLOCK_UNITS - offset - 1);
    const end = lineEnd < 0 ? text.length : lineEnd + 1;
    const part = text.slice(start, end);
    const old = known.get(key);
    const block = old?.text === part && sameStyle(old.startStyle, style) ? old : makeBlock(key, part, style);
    blocks.push(block);
    style = block.endStyle;
    start = end;
  }
  return blocks;
}

function makeBlock(key: number, text: string, startStyle: TextStyle): TextBlock {
  const { runs, end } = parseAnsi(text, startStyle);
  return { key, text, lineCount: countLines(text), runs, startStyle, endStyle: end };
}

function sameStyle(one: TextStyle, other: TextStyle): boolean {
  return one === other || (Object.keys(one) as (keyof TextStyle)[]).every((name) => one[name] === other[name]);
}

/** Line ends, and one for a last line without. */
export function countLines(text: string): number {
  let count = 0;
  let at = -1;
  while ((at = text.indexOf("\n", at + 1)) >= 0) count += 1;
  return text === "" || text.endsWith("\n") ? count : count + 1;
}
