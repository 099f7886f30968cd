import { signal } from "@preact/signals";
import { Fragment, type ComponentChildren } from "preact";

interface Layer {
  id: number;
  content: ComponentChildren;
}

const layers = signal<readonly Layer[]>([]);
let lastId = 0;

/** Shows `content` above the page until the returned function is called. */
export function showLayer(content: ComponentChildren): () => void {
  const id = ++lastId;
  layers.value = [...layers.value, { id, content }];
  return () => {
    layers.value = layers.value.filter((layer) => layer.id !== id);
  };
}

/** Where dialogs and menus that were opened from code are drawn; once, at the end of the app. */
export function Layers() {
  return (
    <>
      {layers.value.map((layer) => (
        <Fragment key={layer.id}>{layer.content}</Fragment>
      ))}
    </>
  );
}
