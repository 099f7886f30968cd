/** The source of a cell: an editor when it is near the view, static code otherwise. */

import { useComputed } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import type { CellModel } from "../crdt/notebookModel";
import { type CellEditor, createCellEditor } from "../editor/cellEditor";
import { type LanguageName, languageOfCell, languageSupport } from "../editor/languages";
import { StaticCode } from "../editor/StaticCode";
import type { CellProps } from "./Cell";
import type { OpenNotebook } from "./openNotebook";
import "../editor/editor.css";

const PLACEHOLDERS = { code: "", markdown: "Write text: Markdown, with $formulas$", raw: "Raw text" } as const;

export function CellSource({ notebook, cell }: CellProps) {
  const language = useLanguage(notebook, cell);
  const isLive = notebook.live.isLive(cell.id).value;
  return (
    <div class="ed nb-source">
      {isLive ? <LiveCode notebook={notebook} cell={cell} language={language} /> : <IdleCode notebook={notebook} cell={cell} language={language} />}
    </div>
  );
}

function useLanguage(notebook: OpenNotebook, cell: CellModel): LanguageName {
  return useComputed(() => {
    const source = cell.source.value;
    const firstLine = source.startsWith("%%") ? source.slice(0, 40) : "";
    return languageOfCell(cell.type.value, notebook.language.value, firstLine);
  }).value;
}

interface CodeProps extends CellProps {
  language: LanguageName;
}

const placeholderOf = (notebook: OpenNotebook, cell: CellModel): string =>
  notebook.canEdit.value ? PLACEHOLDERS[cell.type.value] : "";

function IdleCode({ notebook, cell, language }: CodeProps) {
  const onPress = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    if (event.shiftKey) {
      event.preventDefault();
      notebook.selection.extendTo(cell.id);
      return;
    }
    const { clientX: x, clientY: y } = event;
    event.preventDefault();
    notebook.live.want(cell.id);
    notebook.edit(cell.id);
    // The editor stands where the static code stood: the point is the same.
    requestAnimationFrame(() => {
      const view = notebook.editors.get(cell.id)?.view;
      const position = view?.posAtCoords({ x, y }, false);
      if (view && position !== undefined) view.dispatch({ selection: { anchor: position } });
    });
  };
  return (
    <StaticCode
      source={cell.source}
      language={language}
      wraps={language === "markdown" || language === "plain"}
      placeholder={placeholderOf(notebook, cell)}
      onPress={onPress}
    />
  );
}

function LiveCode({ notebook, cell, language }: CodeProps) {
  const parent = useRef<HTMLDivElement>(null);
  const editor = useRef<CellEditor | null>(null);
  const text = cell.text.value;
  const isReadOnly = !notebook.canEdit.value || cell.metadata.value.editable === false;
  const hasLineNumbers = notebook.lineNumbers.value;

  useLayoutEffect(() => {
    if (!parent.current) return;
    const hadFocus = parent.current.contains(document.activeElement);
    const made = createCellEditor(parent.current, {
      cellId: cell.id,
      text,
      language,
      label: cell.type.peek() === "code" ? "Code" : "Text",
      isReadOnly,
      hasLineNumbers,
      placeholder: placeholderOf(notebook, cell),
      host: notebook.host,
    });
    editor.current = made;
    notebook.editors.set(cell.id, made);
    if (hadFocus) made.view.focus();
    return () => {
      made.destroy();
      editor.current = null;
      if (notebook.editors.get(cell.id) === made) notebook.editors.delete(cell.id);
    };
  }, [notebook, cell, text]);
  const support = languageSupport(language).value;
  useEffect(() => editor.current?.setLanguage(language), [language, support]);
  useEffect(() => editor.current?.setReadOnly(isReadOnly), [isReadOnly]);
  useEffect(() => editor.current?.setLineNumbers(hasLineNumbers), [hasLineNumbers]);
  return <div ref={parent} />;
}
