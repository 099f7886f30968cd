/** Completion and inspection as the kernel gives them. */

import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { StateEffect, StateField } from "@codemirror/state";
import { type EditorView, showTooltip, type Tooltip } from "@codemirror/view";

import { toCodePoints, toUtf16 } from "./positions";

/** Asks the kernel. Cursor positions in code points, as Jupyter counts. Both raise when it does not answer. */
export interface KernelAssistant {
  complete(code: string, cursorPos: number): Promise<Record<string, unknown>>;
  inspect(code: string, cursorPos: number, detailLevel: number): Promise<Record<string, unknown>>;
}

const TYPES: Record<string, string> = {
  function: "function",
  class: "class",
  instance: "variable",
  module: "namespace",
  keyword: "keyword",
  statement: "variable",
  magic: "keyword",
  path: "text",
  param: "property",
  property: "property",
};

interface Match {
  start?: unknown;
  end?: unknown;
  text?: unknown;
  type?: unknown;
  signature?: unknown;
}

/** Options of a `complete_reply`. Pure; null when there are none. */
export function completionResult(code: string, content: Record<string, unknown>): CompletionResult | null {
  const { matches, cursor_start: start, cursor_end: end, metadata } = content;
  if (!Array.isArray(matches) || typeof start !== "number" || typeof end !== "number") return null;
  const rich = (metadata as { _jupyter_types_experimental?: unknown } | undefined)?._jupyter_types_experimental;
  const types = new Map<string, Match>();
  if (Array.isArray(rich)) for (const match of rich as Match[]) types.set(String(match.text), match);
  const options: Completion[] = matches
    .filter((match): match is string => typeof match === "string")
    .map((label, at) => {
      const match = types.get(label);
      const type = typeof match?.type === "string" ? TYPES[match.type] : label.startsWith("%") ? "keyword" : undefined;
      const option: Completion = { label, boost: -at / matches.length };
      if (type) option.type = type;
      if (typeof match?.signature === "string" && match.signature) option.detail = match.signature;
      return option;
    });
  if (options.length === 0) return null;
  const from = toUtf16(code, start);
  // A magic's `%` or a path's quote is part of the match: only words may be narrowed while typing on.
  return { from, to: toUtf16(code, end), options, validFor: /^[\w.]*$/ };
}

export function kernelCompletions(assistant: KernelAssistant) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    if (!context.explicit) return null; // asked with Tab, as in Jupyter: typing stays calm
    const code = context.state.doc.toString();
    try {
      const content = await assistant.complete(code, toCodePoints(code, context.pos));
      return context.aborted ? null : completionResult(code, content);
    } catch {
      return null; // a busy or absent kernel completes nothing
    }
  };
}

const setTooltip = StateEffect.define<Tooltip | null>();

/** The tooltip of Shift-Tab; the next edit or cursor move takes it away. */
export const inspectField = StateField.define<Tooltip | null>({
  create: () => null,
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(setTooltip)) return effect.value;
    return transaction.docChanged || transaction.selection ? null : value;
  },
  provide: (field) => showTooltip.from(field),
});

export const hasInspectTooltip = (view: EditorView): boolean => view.state.field(inspectField, false) !== null;
export const closeInspectTooltip = (view: EditorView): void => view.dispatch({ effects: setTooltip.of(null) });

 
const ANSI = /\u001b\[[0-9;]*[A-Za-z]/g;

/** Shows what the kernel knows about the word at the cursor. False when it knows nothing. */
export async function showInspection(view: EditorView, assistant: KernelAssistant, detailLevel: number): Promise<boolean> {
  const position = view.state.selection.main.head;
  const code = view.state.doc.toString();
  let content: Record<string, unknown>;
  try {
    content = await assistant.inspect(code, toCodePoints(code, position), detailLevel);
  } catch {
    return false;
  }
  const data = content.data as Record<string, unknown> | undefined;
  const text = typeof data?.["text/plain"] === "string" ? data["text/plain"].replace(ANSI, "") : "";
  if (content.found === false || !text || view.state.doc.toString() !== code) return false;
  const create = () => {
    const dom = document.createElement("div");
    dom.className = "ed-inspect";
    dom.setAttribute("role", "tooltip");
    dom.textContent = text;
    return { dom };
  };
  view.dispatch({ effects: setTooltip.of({ pos: position, above: true, create }) });
  return true;
}
