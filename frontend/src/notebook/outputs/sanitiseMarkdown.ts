/** Markdown to safe elements: marked, then DOMPurify. Formulas are left as marked places for KaTeX. */

import DOMPurify from "dompurify";
import { Marked, type TokenizerAndRendererExtension, type Tokens, type TokensList } from "marked";
import { keepClasses } from "./keptClasses";

export type Attachments = Readonly<Record<string, Readonly<Record<string, string>>>>;

export const MATH_CLASS = "out-math";
/** Places of formulas, the languages of code, and the boxes that Jupyter's notebooks draw attention with. */
const KEPT_CLASSES = /^(?:out-math|out-math-block|language-[\w+#.-]{1,40}|alert|alert-(?:info|success|warning|danger))$/;
const IMAGE_TYPES = /^image\/(png|jpe?g|gif|webp|svg\+xml)$/;

interface MathToken extends Tokens.Generic {
  text: string;
  isBlock: boolean;
}

function mathExtension(name: string, level: "block" | "inline", start: RegExp, rule: RegExp, isBlock: boolean): TokenizerAndRendererExtension {
  return {
    name,
    level,
    start(source) {
      const at = source.search(start);
      return at < 0 ? undefined : at;
    },
    tokenizer(source): MathToken | undefined {
      const match = rule.exec(source);
      const text = match?.slice(1).find((group) => group !== undefined);
      return match && text !== undefined ? { type: name, raw: match[0], text, isBlock } : undefined;
    },
    renderer(token) {
      const { text } = token as MathToken;
      return `<span class="${MATH_CLASS}${isBlock ? " out-math-block" : ""}">${escapeHtml(text)}</span>`;
    },
  };
}

const escapeHtml = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const marked = new Marked({ gfm: true, breaks: false, async: false });
marked.use({
  extensions: [
    mathExtension("mathEnvironment", "block", /\\begin\{/, /^(\\begin\{([a-zA-Z]+\*?)\}[\s\S]+?\\end\{\2\})(?:\n|$)/, true),
    mathExtension("mathBlock", "inline", /\$\$|\\\\?\[/, /^(?:\$\$([\s\S]+?)\$\$|\\\\?\[([\s\S]+?)\\\\?\])/, true),
    // As JupyterLab: a dollar that opens is not before a space, one that closes is not before a digit.
    mathExtension("mathInline", "inline", /\$|\\\\?\(/, /^(?:\$(?![\s$])((?:\\.|[^$\\`])+?)(?<!\s)\$(?!\d)|\\\\?\(([\s\S]+?)\\\\?\))/, false),
  ],
});

/** A heading's text as the last part of an address, `my-heading`. */
export function headingId(text: string): string {
  return text.trim().replace(/\s+/g, "-");
}

/** What the text is made of, before it is drawn. */
export const parseMarkdown = (source: string): TokensList => marked.lexer(source);

export function renderMarkdown(source: string, attachments: Attachments | null = null): DocumentFragment {
  const html = marked.parse(source) as string;
  const fragment = DOMPurify.sanitize(html, {
    USE_PROFILES: { html: true },
    FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "dialog", "video", "audio"],
    FORBID_ATTR: ["style", "id", "name", "action", "formaction", "srcset", "target"],
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|attachment:|data:image\/(?:png|jpe?g|gif|webp|svg\+xml)[;,]|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
    RETURN_DOM_FRAGMENT: true,
  });
  keepClasses(fragment, KEPT_CLASSES);
  for (const image of fragment.querySelectorAll("img")) attach(image, attachments);
  for (const heading of fragment.querySelectorAll("h1, h2, h3, h4, h5, h6")) heading.id = headingId(heading.textContent);
  for (const link of fragment.querySelectorAll("a[href]")) {
    if (!/^(?:https?:|mailto:|\/\/)/i.test(link.getAttribute("href") ?? "")) continue;
    link.setAttribute("target", "_blank");
    link.setAttribute("rel", "noopener noreferrer");
  }
  return fragment;
}

/** `attachment:name` becomes the picture of that name; a picture that is not there shows its words. */
function attach(image: HTMLImageElement, attachments: Attachments | null): void {
  const address = image.getAttribute("src") ?? "";
  image.loading = "lazy";
  if (!address.startsWith("attachment:")) return;
  const bundle = attachments?.[decodeName(address.slice("attachment:".length))] ?? {};
  const found = Object.entries(bundle).find(([mime]) => IMAGE_TYPES.test(mime));
  if (!found) image.removeAttribute("src");
  else image.src = imageUrl(found[0], found[1]);
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** A picture of nbformat (base64, SVG as text) as an address for `<img>`, where no script of it runs. */
export function imageUrl(mime: string, value: string): string {
  return mime === "image/svg+xml" ? `data:image/svg+xml;charset=utf-8,${encodeURIComponent(value)}` : `data:${mime};base64,${value.replace(/\s+/g, "")}`;
}
