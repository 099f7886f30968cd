/** Languages of cells: the one the notebook's kernel speaks, Markdown, plain. */

import { javascript } from "@codemirror/lang-javascript";
import { json } from "@codemirror/lang-json";
import { markdown } from "@codemirror/lang-markdown";
import { python } from "@codemirror/lang-python";
import { type LanguageSupport, StreamLanguage } from "@codemirror/language";
import { julia } from "@codemirror/legacy-modes/mode/julia";
import { r } from "@codemirror/legacy-modes/mode/r";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { LanguageSupport as Support } from "@codemirror/language";

export type LanguageName = "python" | "markdown" | "javascript" | "typescript" | "json" | "r" | "julia" | "shell" | "plain";

const made = new Map<LanguageName, LanguageSupport | null>();

/** Support for the language, made once; null for plain text. */
export function languageSupport(name: LanguageName): LanguageSupport | null {
  let support = made.get(name);
  if (support === undefined) {
    support = make(name);
    made.set(name, support);
  }
  return support;
}

function make(name: LanguageName): LanguageSupport | null {
  switch (name) {
    case "python":
      return python();
    case "markdown":
      return markdown({ completeHTMLTags: false });
    case "javascript":
      return javascript();
    case "typescript":
      return javascript({ typescript: true });
    case "json":
      return json();
    case "r":
      return new Support(StreamLanguage.define(r));
    case "julia":
      return new Support(StreamLanguage.define(julia));
    case "shell":
      return new Support(StreamLanguage.define(shell));
    case "plain":
      return null;
  }
}

/** The editor's name for a kernel's language, as `language_info.name` or a kernelspec tells it. */
export function languageOfKernel(name: string | null | undefined): LanguageName {
  const lower = (name ?? "").toLowerCase();
  if (lower === "" || lower.startsWith("python") || lower.startsWith("ipython")) return "python";
  if (lower.startsWith("typescript") || lower === "deno") return "typescript";
  if (lower.startsWith("javascript") || lower === "js") return "javascript";
  if (lower === "r" || lower === "ir") return "r";
  if (lower.startsWith("julia")) return "julia";
  if (lower === "bash" || lower === "sh" || lower === "shell") return "shell";
  return "plain";
}

/** A cell that begins with `%%bash` and the like is written in that language. */
export function languageOfCell(type: "code" | "markdown" | "raw", kernelLanguage: LanguageName, firstLine: string): LanguageName {
  if (type === "markdown") return "markdown";
  if (type === "raw") return "plain";
  const magic = /^%%(\w+)/.exec(firstLine)?.[1];
  if (magic === "bash" || magic === "sh" || magic === "script") return "shell";
  if (magic === "javascript" || magic === "js") return "javascript";
  if (magic === "markdown") return "markdown";
  if (magic === "html" || magic === "latex" || magic === "writefile") return "plain";
  return kernelLanguage;
}
