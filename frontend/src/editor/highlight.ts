/** Colours of code, one table for live editors and for static cells. The classes are in editor.css. */

import { HighlightStyle } from "@codemirror/language";
import { highlightCode, tagHighlighter, tags } from "@lezer/highlight";

import { type LanguageName, languageSupport } from "./languages";

const TABLE = [
  { tag: [tags.keyword, tags.moduleKeyword, tags.controlKeyword, tags.definitionKeyword, tags.operatorKeyword, tags.self], class: "tok-keyword" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], class: "tok-string" },
  { tag: [tags.number, tags.integer, tags.float], class: "tok-number" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], class: "tok-comment" },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName), tags.function(tags.definition(tags.variableName))], class: "tok-function" },
  { tag: [tags.className, tags.typeName, tags.definition(tags.typeName), tags.namespace], class: "tok-type" },
  { tag: [tags.bool, tags.null, tags.atom, tags.constant(tags.name)], class: "tok-constant" },
  { tag: [tags.propertyName, tags.attributeName], class: "tok-property" },
  { tag: [tags.operator, tags.punctuation, tags.bracket, tags.separator], class: "tok-operator" },
  { tag: [tags.meta, tags.annotation, tags.processingInstruction], class: "tok-meta" },
  { tag: tags.heading, class: "tok-heading" },
  { tag: tags.emphasis, class: "tok-emphasis" },
  { tag: tags.strong, class: "tok-strong" },
  { tag: [tags.link, tags.url], class: "tok-link" },
  { tag: tags.monospace, class: "tok-string" },
  { tag: tags.invalid, class: "tok-invalid" },
];

/** For live editors. */
export const codeHighlightStyle = HighlightStyle.define(TABLE);
const staticHighlighter = tagHighlighter(TABLE);

export interface Token {
  text: string;
  /** Empty for plain text. */
  class: string;
}

const MOST_HIGHLIGHTED = 100_000; // characters; longer cells stay plain until they are edited

/** The code as lines of coloured pieces; plain ones until the language has arrived (a signal is read). */
export function highlightLines(code: string, language: LanguageName): Token[][] {
  const support = code.length > MOST_HIGHLIGHTED ? null : languageSupport(language).value;
  if (!support) return code.split("\n").map((text) => [{ text, class: "" }]);
  const lines: Token[][] = [[]];
  highlightCode(
    code,
    support.language.parser.parse(code),
    staticHighlighter,
    (text, classes) => lines[lines.length - 1]?.push({ text, class: classes }),
    () => lines.push([]),
  );
  return lines;
}
