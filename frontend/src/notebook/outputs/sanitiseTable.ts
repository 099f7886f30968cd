/** Tables that data frames print, drawn by the app; anything that is more than that goes to the sandboxed frame. */

import DOMPurify from "dompurify";
import { keepClasses } from "./keptClasses";

const TAGS = [
  "table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "colgroup", "col",
  "div", "p", "span", "b", "i", "em", "strong", "small", "code", "pre", "br", "sub", "sup",
];
const ATTRIBUTES = ["class", "colspan", "rowspan", "scope", "align", "border", "title"];
const MAX_HTML_CHARS = 1_000_000;
const MAX_CELLS = 20_000;
/** What pandas and polars put beside their tables: rules for nothing but `.dataframe`. */
const FRAME_RULES = /^(?:[^{}<>]*\.dataframe[^{}<>]*\{[^{}<>@]*\}\s*)+$/;
const KEPT_CLASSES = /^dataframe$/;
const ALIGNMENT = /^\s*text-align:\s*(left|right|center|start|end)\s*;?\s*$/i;

/** The table, safe to insert; null when the HTML is not just a table. */
export function simpleTable(html: string): DocumentFragment | null {
  if (html.length > MAX_HTML_CHARS || !/<table[\s>]/i.test(html)) return null;
  // Inert: nothing in a template's content loads or runs.
  const template = document.createElement("template");
  template.innerHTML = html;
  const { content } = template;
  for (const style of content.querySelectorAll("style")) {
    if (!FRAME_RULES.test(style.textContent.trim())) return null;
    style.remove();
  }
  const elements = content.querySelectorAll("*");
  if (elements.length > MAX_CELLS) return null;
  for (const element of elements) {
    if (!TAGS.includes(element.localName)) return null;
    for (const attribute of [...element.attributes]) {
      if (attribute.name === "style") {
        const alignment = ALIGNMENT.exec(attribute.value)?.[1];
        if (alignment === undefined) return null;
        element.removeAttribute("style");
        element.setAttribute("align", alignment);
      } else if (attribute.name.startsWith("on") || attribute.name === "id") return null;
    }
  }
  const fragment = DOMPurify.sanitize(content, { ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ATTRIBUTES, ALLOW_DATA_ATTR: false, RETURN_DOM_FRAGMENT: true });
  keepClasses(fragment, KEPT_CLASSES);
  return fragment;
}
