/** Where the notebook's view goes. */

const MARGIN_PX = 12;
/** Cells that were never drawn have a guessed height: when they are, what is below them moves. */
const SETTLING_FRAMES = 4;

export const cellElement = (scroller: Element | null, cellId: string): HTMLElement | null =>
  scroller?.querySelector<HTMLElement>(`[data-cell-id="${CSS.escape(cellId)}"]`) ?? null;

/** Brings the cell into view with the least movement; a cell larger than the view shows its top. */
export function reveal(scroller: HTMLElement | null, cellId: string): void {
  const element = cellElement(scroller, cellId);
  if (!scroller || !element) return;
  const cell = element.getBoundingClientRect();
  const view = scroller.getBoundingClientRect();
  if (cell.top < view.top) scroller.scrollTop += cell.top - view.top - MARGIN_PX;
  else if (cell.bottom > view.bottom) {
    if (cell.height < view.height) scroller.scrollTop += cell.bottom - view.bottom + MARGIN_PX;
    else if (cell.top > view.bottom - 80) scroller.scrollTop += cell.top - view.top - MARGIN_PX;
  }
}

/** Puts the n-th heading of a text cell at the top of the view; the cell's top while its source is shown. */
export function revealHeading(scroller: HTMLElement | null, cellId: string, nth: number, framesLeft = SETTLING_FRAMES): void {
  const cell = cellElement(scroller, cellId);
  if (!scroller || !cell) return;
  const place = cell.querySelectorAll(".nb-markdown :is(h1, h2, h3, h4, h5, h6)")[nth] ?? cell;
  const distance = place.getBoundingClientRect().top - scroller.getBoundingClientRect().top - MARGIN_PX;
  scroller.scrollTop += distance;
  if (framesLeft > 0 && Math.abs(distance) > 1) requestAnimationFrame(() => revealHeading(scroller, cellId, nth, framesLeft - 1));
}
