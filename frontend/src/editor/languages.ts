/** Languages of cells: the one the notebook's kernel speaks, Markdown, plain. Python is at hand, the others are fetched. */

import { python } from "@codemirror/lang-python";
import { LanguageSupport, StreamLanguage } from "@codemirror/language";
import { type ReadonlySignal, type Signal, signal } from "@preact/signals";

export type LanguageName = "python" | "markdown" | "javascript" | "typescript" | "json" | "r" | "julia" | "shell" | "plain";

const LOADERS: Record<Exclude<LanguageName, "python" | "plain">, () => Promise<LanguageSupport>> = {
  markdown: () => import("@codemirror/lang-markdown").then(({ markdown }) => markdown({ completeHTMLTags: false })),
  javascript: () => import("@codemirror/lang-javascript").then(({ javascript }) => javascript()),
  typescript: () => import("@codemirror/lang-javascript").then(({ javascript }) => javascript({ typescript: true })),
  json: () => import("@codemirror/lang-json").then(({ json }) => json()),
  r: () => import("@codemirror/legacy-modes/mode/r").then(({ r }) => new LanguageSupport(StreamLanguage.define(r))),
  julia: () => import("@codemirror/legacy-modes/mode/julia").then(({ julia }) => new LanguageSupport(StreamLanguage.define(julia))),
  shell: () => import("@codemirror/legacy-modes/mode/shell").then(({ shell }) => new LanguageSupport(StreamLanguage.define(shell))),
};

const supports = new Map<LanguageName, Signal<LanguageSupport | null>>();

/** Support for the language; null for plain text, and until it has arrived. */
export function languageSupport(name: LanguageName): ReadonlySignal<LanguageSupport | null> {
  let support = supports.get(name);
  if (support) return support;
  const made = signal<LanguageSupport | null>(name === "python" ? python() : null);
  supports.set(name, (support = made));
  if (name !== "python" && name !== "plain") {
    LOADERS[name]().then(
      (loaded) => (made.value = loaded),
      () => supports.delete(name), // the hub is away: the code stays plain, and the next use tries again
    );
  }
  return support;
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
