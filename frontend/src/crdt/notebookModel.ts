/** Signals of what a notebook's document holds, kept in step with it. A keystroke touches one cell's signals only. */

import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import * as Y from "yjs";

import {
  type CellType,
  cellsOf,
  isCell,
  isCellType,
  isJsonObject,
  type JsonObject,
  notebookOf,
  orderedCellIds,
  readCell,
  textOf,
  type YCell,
} from "./schema";

/** One cell. It lives as long as its id is in the notebook, also when undo makes its text anew. */
export interface CellModel {
  readonly id: string;
  readonly type: ReadonlySignal<CellType>;
  /** The shared text; another object after an undone deletion. */
  readonly text: ReadonlySignal<Y.Text>;
  readonly source: ReadonlySignal<string>;
  readonly metadata: ReadonlySignal<JsonObject>;
  readonly attachments: ReadonlySignal<JsonObject | null>;
}

interface WritableCell extends CellModel {
  readonly type: Signal<CellType>;
  readonly text: Signal<Y.Text>;
  readonly source: Signal<string>;
  readonly metadata: Signal<JsonObject>;
  readonly attachments: Signal<JsonObject | null>;
}

export class NotebookModel {
  readonly #order = signal<readonly string[]>([]);
  /** Ids of the cells, in order. */
  readonly order: ReadonlySignal<readonly string[]> = this.#order;
  readonly #metadata = signal<JsonObject>({});
  /** The notebook's own metadata. */
  readonly metadata: ReadonlySignal<JsonObject> = this.#metadata;
  readonly #cells = new Map<string, WritableCell>();

  constructor(readonly doc: Y.Doc) {
    this.#readOrder();
    this.#readNotebook();
    cellsOf(doc).observeDeep(this.#onCells);
    notebookOf(doc).observeDeep(this.#readNotebook);
  }

  dispose(): void {
    cellsOf(this.doc).unobserveDeep(this.#onCells);
    notebookOf(this.doc).unobserveDeep(this.#readNotebook);
  }

  cell(id: string): CellModel | undefined {
    return this.#cells.get(id);
  }

  indexOf(id: string): number {
    return this.#order.peek().indexOf(id);
  }

  readonly #onCells = (events: Y.YEvent<Y.AbstractType<unknown>>[]): void => {
    batch(() => {
      let orderChanged = false;
      const whole = new Set<string>();
      for (const event of events) {
        const id = event.path[0];
        if (id === undefined) {
          orderChanged = true;
          for (const key of event.keys.keys()) whole.add(key);
        } else if (event.path.length === 1) {
          if (event.keys.has("position") || event.keys.has("type") || event.keys.has("source")) orderChanged = true;
          whole.add(String(id));
        } else if (event.path[1] === "source") {
          const cell = cellsOf(this.doc).get(String(id));
          const model = this.#cells.get(String(id));
          if (model && isCell(cell)) model.source.value = textOf(cell).toString();
        } else whole.add(String(id));
      }
      for (const id of whole) {
        const cell = cellsOf(this.doc).get(id);
        const model = this.#cells.get(id);
        if (model && isCell(cell)) refresh(model, cell);
      }
      if (orderChanged) this.#readOrder();
    });
  };

  #readOrder(): void {
    const order = orderedCellIds(this.doc);
    const present = new Set(order);
    for (const id of this.#cells.keys()) if (!present.has(id)) this.#cells.delete(id);
    for (const id of order) {
      const cell = cellsOf(this.doc).get(id);
      if (cell && !this.#cells.has(id)) this.#cells.set(id, modelOf(id, cell));
    }
    const old = this.#order.peek();
    if (old.length !== order.length || old.some((id, at) => id !== order[at])) this.#order.value = order;
  }

  readonly #readNotebook = (): void => {
    const metadata = notebookOf(this.doc).get("metadata");
    this.#metadata.value = metadata instanceof Y.Map ? (metadata.toJSON() as JsonObject) : {};
  };
}

function modelOf(id: string, cell: YCell): WritableCell {
  const content = readCell(cell);
  return {
    id,
    type: signal(content.type),
    text: signal(textOf(cell)),
    source: signal(content.source),
    metadata: signal(content.metadata),
    attachments: signal(content.attachments ?? null),
  };
}

function refresh(model: WritableCell, cell: YCell): void {
  const type = cell.get("type");
  if (isCellType(type)) model.type.value = type;
  const text = textOf(cell);
  model.text.value = text;
  model.source.value = text.toString();
  const metadata = cell.get("metadata");
  model.metadata.value = metadata instanceof Y.Map ? (metadata.toJSON() as JsonObject) : {};
  const attachments = cell.get("attachments");
  model.attachments.value = isJsonObject(attachments) ? attachments : null;
}
