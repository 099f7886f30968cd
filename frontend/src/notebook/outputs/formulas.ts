/** KaTeX, loaded with the first formula. */

import katex from "katex";
import "katex/dist/katex.min.css";

const MAX_CHARS = 20_000;

/** Replaces the TeX in the element by the formula; TeX that is wrong stays readable, with its error as a tooltip. */
export function drawFormula(element: HTMLElement, isBlock: boolean): void {
  const source = element.textContent;
  if (source.length > MAX_CHARS) return;
  try {
    katex.render(source, element, { displayMode: isBlock, throwOnError: true, strict: false, trust: false, maxSize: 50, maxExpand: 1000, output: "htmlAndMathml" });
  } catch (error) {
    element.textContent = source;
    element.classList.add("out-math-wrong");
    element.title = error instanceof Error ? error.message : "This formula cannot be drawn.";
  }
}
