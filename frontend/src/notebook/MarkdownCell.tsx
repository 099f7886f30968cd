import type { CellProps } from "./Cell";
import { CellSource } from "./CellSource";
import { Markdown } from "./outputs";

/** Rendered text; a double click or Enter shows its source, running it renders again. */
export function MarkdownCell({ notebook, cell }: CellProps) {
  const isOpen = notebook.openMarkdown.value.has(cell.id);
  if (isOpen) return <CellSource notebook={notebook} cell={cell} />;
  const source = cell.source.value;
  const edit = (): void => {
    if (notebook.canEdit.peek()) notebook.edit(cell.id);
  };
  if (source.trim() === "") {
    return (
      <div class="nb-markdown nb-markdown-empty" onDblClick={edit}>
        Empty text cell: double-click or press Enter to write
      </div>
    );
  }
  return (
    <div class="nb-markdown" onDblClick={edit}>
      <Markdown source={source} attachments={cell.attachments.value as Record<string, Record<string, string>> | null} />
    </div>
  );
}
