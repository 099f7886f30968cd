/** Long lines are scrolled by key too: what overflows is a stop of Tab, with the arrows moving it; what does not is none. */

import { EditorView } from "@codemirror/view";

const overflows = (element: HTMLElement): boolean => element.scrollWidth > element.clientWidth + 1;

function setStop(element: HTMLElement, isStop: boolean): void {
  if (isStop) element.tabIndex = 0;
  else element.removeAttribute("tabindex");
}

/** Looks at the element as it is laid out now. */
export function markScrollStop(element: HTMLElement): void {
  setStop(element, overflows(element));
}

/** The same for an editor, whenever its layout changes. */
export const editorScrollStop = EditorView.updateListener.of(({ geometryChanged, view }) => {
  if (!geometryChanged) return;
  view.requestMeasure({
    key: "scroll-stop",
    read: () => overflows(view.scrollDOM),
    write: (isStop) => setStop(view.scrollDOM, isStop),
  });
});
