/** The live editor of one cell: CodeMirror bound to the cell's shared text. */

import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionKeymap, completionStatus, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, indentLess, indentMore, toggleComment } from "@codemirror/commands";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, type Extension, Prec } from "@codemirror/state";
import { drawSelection, dropCursor, EditorView, type KeyBinding, keymap, lineNumbers, placeholder, rectangularSelection, tooltips } from "@codemirror/view";
import { ySync, ySyncAnnotation, YSyncConfig, ySyncFacet } from "y-codemirror.next";
import type * as Y from "yjs";

import type { Presence } from "../crdt/presence";
import { closeInspectTooltip, hasInspectTooltip, inspectField, type KernelAssistant, kernelCompletions, showInspection } from "./completion";
import { codeHighlightStyle } from "./highlight";
import { type LanguageName, languageSupport } from "./languages";
import { remoteCursors } from "./remoteCursors";
import { editorScrollStop } from "./scrollStop";

/** What an editor needs of the notebook around it. */
export interface EditorHost {
  readonly assistant: KernelAssistant;
  readonly presence: Presence;
  undo(): boolean;
  redo(): boolean;
  onFocus(cellId: string): void;
  onBlur(cellId: string): void;
  /** The cursor wants to leave the cell over its upper or lower edge. True if there was somewhere to go. */
  onLeave(cellId: string, direction: -1 | 1): boolean;
  onCursor(position: { line: number; column: number; selected: number } | null): void;
  /** An insertion was refused because the hub would not take it. */
  onTooLarge(): void;
  mostCharacters(): number;
}

export interface EditorOptions {
  cellId: string;
  text: Y.Text;
  language: LanguageName;
  /** For screen readers: "Code of cell 3". */
  label: string;
  isReadOnly: boolean;
  hasLineNumbers?: boolean;
  placeholder?: string;
  host: EditorHost;
}

export interface CellEditor {
  readonly view: EditorView;
  setLanguage(language: LanguageName): void;
  setReadOnly(isReadOnly: boolean): void;
  setLineNumbers(hasLineNumbers: boolean): void;
  destroy(): void;
}

/** True while Escape, Enter or the arrows belong to something the editor has open. */
export function hasOpenPopup(view: EditorView): boolean {
  return completionStatus(view.state) !== null || hasInspectTooltip(view);
}

export function closePopups(view: EditorView): void {
  closeCompletion(view);
  if (hasInspectTooltip(view)) closeInspectTooltip(view);
}

const languageExtension = (language: LanguageName): Extension => {
  const support = languageSupport(language).peek();
  return [
    support ?? [],
    indentUnit.of(language === "javascript" || language === "typescript" || language === "json" ? "  " : "    "),
    language === "markdown" || language === "plain" ? EditorView.lineWrapping : [],
  ];
};

const readOnlyExtension = (isReadOnly: boolean): Extension => [
  EditorState.readOnly.of(isReadOnly),
  EditorView.editable.of(!isReadOnly),
  isReadOnly ? EditorView.contentAttributes.of({ "aria-readonly": "true" }) : [],
];

export function createCellEditor(parent: HTMLElement, options: EditorOptions): CellEditor {
  const { cellId, text, host } = options;
  const language = new Compartment();
  const readOnly = new Compartment();
  const numbers = new Compartment();
  const sync = new YSyncConfig(text, null);

  const state = EditorState.create({
    doc: text.toString(),
    extensions: [
      ySyncFacet.of(sync),
      ySync,
      options.isReadOnly ? [] : remoteCursorsOf(options),
      language.of(languageExtension(options.language)),
      readOnly.of(readOnlyExtension(options.isReadOnly)),
      EditorView.contentAttributes.of({ "aria-label": options.label, autocapitalize: "off", autocorrect: "off", spellcheck: options.language === "markdown" ? "true" : "false" }),
      // Tab passes the text by, since in an editor it indents: Enter leads from the cell into it, Escape back.
      EditorView.contentAttributes.of({ tabindex: "-1" }),
      editorScrollStop,
      options.placeholder ? placeholder(options.placeholder) : [],
      numbers.of(options.hasLineNumbers ? lineNumbers() : []),
      // Cells clip what they paint; a tooltip belongs to the page.
      tooltips({ parent: document.body, position: "fixed" }),
      syntaxHighlighting(codeHighlightStyle),
      bracketMatching(),
      closeBrackets(),
      indentOnInput(),
      drawSelection(),
      dropCursor(),
      rectangularSelection(),
      EditorState.allowMultipleSelections.of(true),
      EditorState.tabSize.of(4),
      inspectField,
      autocompletion({ override: [kernelCompletions(host.assistant)], activateOnTyping: false, maxRenderedOptions: 200 }),
      sizeLimit(host),
      Prec.high(keymap.of(cellKeys(cellId, host))),
      keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap.filter((binding) => !RESERVED.has(binding.key ?? ""))]),
      EditorView.domEventHandlers({
        beforeinput(event) {
          if (event.inputType === "historyUndo") return host.undo();
          if (event.inputType === "historyRedo") return host.redo();
          return false;
        },
      }),
      EditorView.updateListener.of((update) => {
        if (update.focusChanged) {
          if (update.view.hasFocus) host.onFocus(cellId);
          else host.onBlur(cellId);
        }
        if (update.view.hasFocus && (update.selectionSet || update.docChanged || update.focusChanged)) {
          const { head, from, to } = update.state.selection.main;
          const line = update.state.doc.lineAt(head);
          host.onCursor({ line: line.number, column: head - line.from + 1, selected: to - from });
        }
      }),
    ],
  });
  const view = new EditorView({ state, parent });
  return {
    view,
    setLanguage: (name) => view.dispatch({ effects: language.reconfigure(languageExtension(name)) }),
    setReadOnly: (isReadOnly) => view.dispatch({ effects: readOnly.reconfigure(readOnlyExtension(isReadOnly)) }),
    setLineNumbers: (hasLineNumbers) => view.dispatch({ effects: numbers.reconfigure(hasLineNumbers ? lineNumbers() : []) }),
    destroy: () => view.destroy(),
  };
}

const remoteCursorsOf = ({ host, cellId, text }: EditorOptions): Extension => remoteCursors(host.presence, cellId, text);

/** Keys of the default keymap that are the notebook's. */
const RESERVED: ReadonlySet<string> = new Set(["Mod-Enter", "Shift-Enter", "Escape"]);

function sizeLimit(host: EditorHost): Extension {
  return EditorState.transactionFilter.of((transaction) => {
    if (!transaction.docChanged || transaction.annotation(ySyncAnnotation)) return transaction;
    const most = host.mostCharacters();
    const grows = transaction.newDoc.length > transaction.startState.doc.length;
    if (!grows || transaction.newDoc.length <= most) return transaction;
    queueMicrotask(() => host.onTooLarge());
    return [];
  });
}

function cellKeys(cellId: string, host: EditorHost): KeyBinding[] {
  const leave =
    (direction: -1 | 1) =>
    (view: EditorView): boolean => {
      if (completionStatus(view.state) === "active") return false;
      const { main } = view.state.selection;
      if (!main.empty || view.state.selection.ranges.length > 1) return false;
      const { doc } = view.state;
      const isEdge = direction < 0 ? doc.lineAt(main.head).number === 1 : doc.lineAt(main.head).number === doc.lines;
      if (!isEdge) return false;
      // In a wrapped line the cursor first moves within it.
      const moved = view.moveVertically(main, direction > 0);
      const wraps = view.lineWrapping && moved.head !== main.head && view.coordsAtPos(moved.head)?.top !== view.coordsAtPos(main.head)?.top;
      return wraps ? false : host.onLeave(cellId, direction);
    };
  return [
    { key: "ArrowUp", run: leave(-1) },
    { key: "ArrowDown", run: leave(1) },
    { key: "Tab", run: completeOrIndent, shift: (view) => inspectOrDedent(view, host) },
    { key: "Mod-z", run: () => host.undo() || true },
    { key: "Mod-y", run: () => host.redo() || true, preventDefault: true },
    { key: "Mod-Shift-z", run: () => host.redo() || true },
    { key: "Mod-/", run: toggleComment },
    { key: "Mod-]", run: indentMore },
    { key: "Mod-[", run: indentLess },
  ];
}

/** Tab after a word, a dot, a quote or a slash asks the kernel; elsewhere it indents. */
function completeOrIndent(view: EditorView): boolean {
  if (view.state.readOnly) return false;
  if (completionStatus(view.state) === "active") return acceptCompletion(view);
  const { main } = view.state.selection;
  const before = view.state.sliceDoc(Math.max(0, main.head - 1), main.head);
  if (main.empty && /[\w.%"'/\\]/.test(before)) return startCompletion(view);
  if (!main.empty) return indentMore(view);
  const line = view.state.doc.lineAt(main.head);
  const width = view.state.facet(indentUnit).length;
  const count = width - ((main.head - line.from) % width);
  view.dispatch(view.state.replaceSelection(" ".repeat(count)), { userEvent: "input.indent" });
  return true;
}

function inspectOrDedent(view: EditorView, host: EditorHost): boolean {
  if (view.state.readOnly) return false;
  const { main } = view.state.selection;
  const line = view.state.doc.lineAt(main.head);
  const isInIndent = line.text.slice(0, main.head - line.from).trim() === "";
  if (!main.empty || isInIndent) return indentLess(view);
  // A second press asks for more.
  void showInspection(view, host.assistant, hasInspectTooltip(view) ? 1 : 0);
  return true;
}
