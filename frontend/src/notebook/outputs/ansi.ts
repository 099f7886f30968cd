/** Terminal colours: SGR sequences (ECMA-48, 8.3.117) to styled runs of text. */

/** A colour: 0–15 are the theme's, else `#rrggbb`; null is the text's own. */
export type Colour = number | string | null;

export interface TextStyle {
  readonly foreground: Colour;
  readonly background: Colour;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
  readonly hidden: boolean;
  readonly strike: boolean;
}

export interface StyledText {
  readonly text: string;
  readonly style: TextStyle;
}

export const PLAIN: TextStyle = Object.freeze({
  foreground: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  hidden: false,
  strike: false,
});

// SGR is understood; other sequences are left out (the hub has applied those that move or erase).
const SEQUENCE = /\x1b(?:\[([0-9;:]*)m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~]|$)|\x1b/g;

/** The text cut into runs of one style, beginning with `style`; and the style after it. */
export function parseAnsi(text: string, style: TextStyle = PLAIN): { runs: StyledText[]; end: TextStyle } {
  if (!text.includes("\x1b")) return { runs: text ? [{ text, style }] : [], end: style };
  const runs: StyledText[] = [];
  let start = 0;
  let current = style;
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index > start) runs.push({ text: text.slice(start, match.index), style: current });
    start = match.index + match[0].length;
    if (match[1] !== undefined) current = changeStyle(current, match[1]);
  }
  if (start < text.length) runs.push({ text: text.slice(start), style: current });
  return { runs, end: current };
}

/** The text without its escape sequences. */
export function withoutAnsi(text: string): string {
  return text.includes("\x1b") ? text.replace(SEQUENCE, "") : text;
}

export function changeStyle(style: TextStyle, parameters: string): TextStyle {
  const numbers = parameters.split(/[;:]/).map(Number);
  let next = style;
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at] ?? 0;
    if (code === 38 || code === 48) {
      const { colour, length } = extendedColour(numbers, at + 1);
      at += length;
      if (colour !== undefined) next = code === 38 ? { ...next, foreground: colour } : { ...next, background: colour };
    } else next = simpleChange(next, code);
  }
  return next;
}

function simpleChange(style: TextStyle, code: number): TextStyle {
  if (code >= 30 && code <= 37) return { ...style, foreground: code - 30 };
  if (code >= 90 && code <= 97) return { ...style, foreground: code - 82 };
  if (code >= 40 && code <= 47) return { ...style, background: code - 40 };
  if (code >= 100 && code <= 107) return { ...style, background: code - 92 };
  switch (code) {
    case 0:
      return PLAIN;
    case 1:
      return { ...style, bold: true };
    case 2:
      return { ...style, dim: true };
    case 3:
      return { ...style, italic: true };
    case 4:
    case 21:
      return { ...style, underline: true };
    case 7:
      return { ...style, inverse: true };
    case 8:
      return { ...style, hidden: true };
    case 9:
      return { ...style, strike: true };
    case 22:
      return { ...style, bold: false, dim: false };
    case 23:
      return { ...style, italic: false };
    case 24:
      return { ...style, underline: false };
    case 27:
      return { ...style, inverse: false };
    case 28:
      return { ...style, hidden: false };
    case 29:
      return { ...style, strike: false };
    case 39:
      return { ...style, foreground: null };
    case 49:
      return { ...style, background: null };
    default:
      return style;
  }
}

function extendedColour(numbers: readonly number[], at: number): { colour?: Colour; length: number } {
  if (numbers[at] === 5) {
    const index = numbers[at + 1];
    return index !== undefined && index <= 255 ? { colour: paletteColour(index), length: 2 } : { length: 2 };
  }
  if (numbers[at] === 2) {
    const parts = numbers.slice(at + 1, at + 4);
    return parts.length === 3 && parts.every((part) => part <= 255) ? { colour: hex(parts), length: 4 } : { length: 4 };
  }
  return { length: 0 };
}

/** The 256-colour palette of xterm: 16 of the theme, a 6 × 6 × 6 cube, 24 greys. */
export function paletteColour(index: number): Colour {
  if (index < 16) return index;
  if (index >= 232) return hex(Array<number>(3).fill(8 + (index - 232) * 10));
  const level = (step: number): number => (step === 0 ? 0 : 55 + step * 40);
  const cube = index - 16;
  return hex([level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)]);
}

const hex = (parts: readonly number[]): string => `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;

/** CSS classes and own properties of a style; null when it is plain. */
export function styleToCss(style: TextStyle): { class: string; style: Record<string, string> } | null {
  if (style === PLAIN) return null;
  const classes: string[] = [];
  const css: Record<string, string> = {};
  let { foreground, background } = style;
  if (style.inverse) {
    [foreground, background] = [background ?? "var(--out-bg)", foreground ?? "var(--out-fg)"];
  }
  if (typeof foreground === "number") classes.push(`ansi-fg-${String(foreground)}`);
  else if (foreground !== null) css.color = foreground;
  if (typeof background === "number") classes.push(`ansi-bg-${String(background)}`);
  else if (background !== null) css.backgroundColor = background;
  for (const name of ["bold", "dim", "italic", "hidden"] as const) if (style[name]) classes.push(`ansi-${name}`);
  const lines = [style.underline && "underline", style.strike && "line-through"].filter(Boolean).join(" ");
  if (lines) css.textDecorationLine = lines;
  return classes.length > 0 || Object.keys(css).length > 0 ? { class: classes.join(" "), style: css } : null;
}
