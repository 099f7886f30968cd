import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { drawSelection, dropCursor, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers, rectangularSelection } from "@codemirror/view";
import { codeHighlightStyle } from "./highlight";
import { languageLoader, wrapsLines } from "./textLanguages";
import "./editor.css";
import "./text.css";

export interface TextPosition {
  line: number;
  column: number;
  selected: number;
}

export interface TextEditorOptions {
  path: string;
  text: string;
  isReadOnly: boolean;
  onChange: () => void;
  onPosition: (position: TextPosition) => void;
}

export interface TextEditor {
  readonly view: EditorView;
  text: () => string;
  /** Puts in another text as one change that can be undone; the cursor stays where it can. */
  replace: (text: string) => void;
  setReadOnly: (isReadOnly: boolean) => void;
  destroy: () => void;
}

/** A CodeMirror editor for one file, in `parent`. */
export function createTextEditor(parent: HTMLElement, options: TextEditorOptions): TextEditor {
  const language = new Compartment();
  const readOnly = new Compartment();
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        // Only \n breaks lines here: a lone \r is a character of its own and survives.
        EditorState.lineSeparator.of("\n"),
        lineNumbers(),
        foldGutter({ markerDOM: foldMarker }),
        highlightSpecialChars(),
        history(),
        drawSelection(),
        dropCursor(),
        rectangularSelection(),
        EditorState.allowMultipleSelections.of(true),
        indentOnInput(),
        indentUnit.of(indentOf(options.text)),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        highlightSelectionMatches(),
        search({ top: true }),
        syntaxHighlighting(codeHighlightStyle),
        keymap.of([
          ...closeBracketsKeymap,
          ...defaultKeymap,
          ...searchKeymap,
          ...historyKeymap,
          ...foldKeymap,
          { key: "Tab", run: indentMore, shift: indentLess },
          // Tab indents, so there must be another way out for those who have no pointer.
          {
            key: "Escape",
            run: (target) => {
              target.contentDOM.blur();
              target.dom.focus();
              return true;
            },
          },
        ]),
        wrapsLines(options.path) ? EditorView.lineWrapping : [],
        language.of([]),
        readOnly.of(readOnlyExtension(options.isReadOnly)),
        EditorView.contentAttributes.of({ tabindex: "0", "aria-label": `Text of ${options.path}. Escape leaves the editor.` }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.onChange();
          if (update.docChanged || update.selectionSet) options.onPosition(positionIn(update.state));
        }),
      ],
    }),
  });
  view.dom.tabIndex = -1;
  options.onPosition(positionIn(view.state));
  const load = languageLoader(options.path);
  // Without its language (offline, say) the text is plain, which is no reason to fail.
  void load?.().then(
    (extension) => view.dispatch({ effects: language.reconfigure(extension) }),
    () => undefined,
  );

  return {
    view,
    text: () => view.state.doc.toString(),
    replace: (text) => view.dispatch(changeInto(view.state, text)),
    setReadOnly: (isReadOnly) => view.dispatch({ effects: readOnly.reconfigure(readOnlyExtension(isReadOnly)) }),
    destroy: () => view.destroy(),
  };
}

/** Line and column from 1, as people count. */
function positionIn(state: EditorState): TextPosition {
  const { main } = state.selection;
  const line = state.doc.lineAt(main.head);
  return { line: line.number, column: main.head - line.from + 1, selected: main.to - main.from };
}

/** The smallest replacement that makes the text: what is equal at both ends stays, and with it the cursor. */
function changeInto(state: EditorState, text: string): { changes: { from: number; to: number; insert: string } } {
  const old = state.doc.toString();
  let start = 0;
  while (start < old.length && start < text.length && old[start] === text[start]) start++;
  let end = 0;
  while (end < old.length - start && end < text.length - start && old[old.length - 1 - end] === text[text.length - 1 - end]) end++;
  return { changes: { from: start, to: old.length - end, insert: text.slice(start, text.length - end) } };
}

/** What the file itself indents with: a tab, or two or four spaces. */
export function indentOf(text: string): string {
  const indents = text.split("\n", 400).map((line) => /^(\t+| +)\S/.exec(line)?.[1]).filter((indent) => indent !== undefined);
  if (indents.some((indent) => indent.startsWith("\t"))) return "\t";
  const widths = indents.map((indent) => indent.length).filter((width) => width > 1);
  return widths.length > 0 && widths.some((width) => width % 4 !== 0) ? "  " : "    ";
}

function readOnlyExtension(isReadOnly: boolean): Extension {
  // Not `editable.of(false)`: the cursor and the search keys stay.
  return EditorState.readOnly.of(isReadOnly);
}

function foldMarker(isOpen: boolean): HTMLElement {
  const marker = document.createElement("span");
  marker.className = "text-fold";
  marker.textContent = isOpen ? "⌄" : "›";
  return marker;
}
