/** The headings of a Markdown text, in the order in which they are drawn. Nothing is drawn, nor loaded, for it. */

import type { Token, Tokens } from "marked";

import { parseMarkdown } from "./sanitiseMarkdown";

export interface Heading {
  /** 1 to 6. */
  level: number;
  /** Without the signs of Markdown; formulas as they are written. */
  text: string;
}

/** Nearly every text without headings is told apart by this. */
const MAY_HAVE_SOME = /#|^[ \t>]*(?:=+|-+)[ \t]*$|<h[1-6]/im;
const TAG = /<\/?[a-z][^>]*>/gi;
/** What headings have of these; others stay as they are written. */
const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " " };
const IN_HTML = /<h([1-6])\b[^>]*>([\s\S]*?)<\/h\1\s*>/gi;

export function headingsOf(source: string): Heading[] {
  const found: Heading[] = [];
  if (MAY_HAVE_SOME.test(source)) collect(parseMarkdown(source), found);
  return found;
}

function collect(tokens: readonly Token[], found: Heading[]): void {
  for (const token of tokens) {
    if (token.type === "heading") {
      const { depth, tokens: parts } = token as Tokens.Heading;
      found.push({ level: depth, text: plain(parts) });
    } else if (token.type === "html") {
      for (const [, level, text = ""] of token.raw.matchAll(IN_HTML)) found.push({ level: Number(level), text: decode(text.replace(TAG, "")) });
    } else if (token.type === "list") {
      for (const item of (token as Tokens.List).items) collect(item.tokens, found);
    } else if (token.type === "blockquote") collect((token as Tokens.Blockquote).tokens, found);
  }
}

function plain(tokens: readonly Token[]): string {
  const words = tokens.map((token): string => {
    if (token.type === "html") return "";
    if (token.type === "br") return " ";
    if (token.type.startsWith("math")) return token.raw;
    if ("tokens" in token && token.tokens) return plain(token.tokens);
    return "text" in token ? String(token.text) : token.raw;
  });
  return decode(words.join(""));
}

function decode(text: string): string {
  const said = text.replace(/&(#\d{1,7}|\w{1,8});/g, (whole, name: string) => {
    if (!name.startsWith("#")) return ENTITIES[name] ?? whole;
    const point = Number(name.slice(1));
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
  return said.replace(/\s+/g, " ").trim();
}
