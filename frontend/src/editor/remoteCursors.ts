/** Cursors and selections of the others inside one cell's editor. */

import { Annotation, type Extension, RangeSet } from "@codemirror/state";
import type { EditorView} from "@codemirror/view";
import { Decoration, type DecorationSet, ViewPlugin, type ViewUpdate, WidgetType } from "@codemirror/view";
import { effect } from "@preact/signals";
import * as Y from "yjs";

import type { Presence, RemoteCursor } from "../crdt/presence";

const cursorsChanged = Annotation.define<true>();

class CaretWidget extends WidgetType {
  constructor(
    private readonly name: string,
    private readonly color: string,
  ) {
    super();
  }

  override eq(other: CaretWidget): boolean {
    return other.name === this.name && other.color === this.color;
  }

  override toDOM(): HTMLElement {
    const caret = document.createElement("span");
    caret.className = "ed-remote-caret";
    caret.style.setProperty("--person", this.color);
    const label = document.createElement("span");
    label.className = "ed-remote-name";
    label.textContent = this.name;
    caret.append(label);
    return caret;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

function offset(text: Y.Text, json: unknown): number | null {
  if (!text.doc) return null;
  try {
    const position = Y.createRelativePositionFromJSON(json);
    const absolute = Y.createAbsolutePositionFromRelativePosition(position, text.doc);
    return absolute?.type === text ? absolute.index : null;
  } catch {
    return null; // someone else's software may send anything
  }
}

function decorations(cursors: readonly RemoteCursor[], cellId: string, text: Y.Text, length: number): DecorationSet {
  const ranges = [];
  for (const cursor of cursors) {
    if (cursor.cellId !== cellId) continue;
    const anchor = offset(text, cursor.anchor);
    const head = offset(text, cursor.head);
    if (anchor === null || head === null || Math.max(anchor, head) > length) continue;
    if (anchor !== head) {
      const mark = Decoration.mark({
        class: "ed-remote-selection",
        attributes: { style: `background-color: color-mix(in srgb, ${cursor.person.color} 25%, transparent)` },
      });
      ranges.push(mark.range(Math.min(anchor, head), Math.max(anchor, head)));
    }
    const widget = new CaretWidget(cursor.person.name, cursor.person.color);
    ranges.push(Decoration.widget({ widget, side: head < anchor ? -1 : 1 }).range(head));
  }
  return RangeSet.of(ranges, true);
}

/** Draws the others' cursors and tells them ours while the editor has the focus. */
export function remoteCursors(presence: Presence, cellId: string, text: Y.Text): Extension {
  const plugin = ViewPlugin.fromClass(
    class {
      decorations: DecorationSet;
      readonly #stop: () => void;
      #first = true;

      constructor(view: EditorView) {
        this.decorations = decorations(presence.cursors.peek(), cellId, text, view.state.doc.length);
        let shown = "";
        this.#stop = effect(() => {
          const mine = presence.cursors.value.filter((cursor) => cursor.cellId === cellId);
          const now = JSON.stringify(mine);
          const isNew = now !== shown && !this.#first;
          this.#first = false;
          shown = now;
          // Outside of an update: awareness may arrive in the middle of one.
          if (isNew) queueMicrotask(() => view.dom.isConnected && view.dispatch({ annotations: cursorsChanged.of(true) }));
        });
      }

      update(update: ViewUpdate): void {
        const cursors = presence.cursors.peek();
        if (update.docChanged || update.transactions.some((transaction) => transaction.annotation(cursorsChanged))) {
          this.decorations = decorations(cursors, cellId, text, update.state.doc.length);
        }
        if (update.view.hasFocus && (update.selectionSet || update.docChanged || update.focusChanged)) {
          const { anchor, head } = update.state.selection.main;
          presence.tell({
            cell: cellId,
            cursor: {
              anchor: Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, anchor)),
              head: Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, head)),
            },
          });
        } else if (update.focusChanged && !update.view.hasFocus) presence.tell({ cursor: null });
      }

      destroy(): void {
        this.#stop();
      }
    },
    { decorations: (value) => value.decorations },
  );
  return [plugin];
}
