import { useLayoutEffect, useRef } from "preact/hooks";

import { memo } from "./memo";
import { type Attachments, MATH_CLASS, renderMarkdown } from "./sanitiseMarkdown";

export interface MarkdownProps {
  source: string;
  attachments?: Attachments | null;
}

/** Rendered Markdown with formulas; nothing in it runs. */
export const Markdown = memo(function Markdown({ source, attachments = null }: MarkdownProps) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const fragment = renderMarkdown(source, attachments);
    const formulas = [...fragment.querySelectorAll<HTMLElement>(`.${MATH_CLASS}`)];
    element.current?.replaceChildren(fragment);
    if (formulas.length > 0) void drawFormulas(formulas);
  }, [source, attachments]);
  return <div ref={element} class="out-markdown" />;
});

/** LaTeX of a kernel: formulas with or without their dollars. */
export function Latex({ source }: { source: string }) {
  const isMarked = /\$|\\\(|\\\[|\\begin\{/.test(source);
  return <Markdown source={isMarked ? source : `$$${source}$$`} />;
}

async function drawFormulas(elements: readonly HTMLElement[]): Promise<void> {
  const { drawFormula } = await import("./formulas");
  for (const element of elements) drawFormula(element, element.classList.contains("out-math-block"));
}
