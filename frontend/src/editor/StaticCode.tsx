import type { ReadonlySignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import { highlightLines } from "./highlight";
import type { LanguageName } from "./languages";
import { markScrollStop } from "./scrollStop";
import "./editor.css";

interface StaticCodeProps {
  source: ReadonlySignal<string>;
  language: LanguageName;
  wraps: boolean;
  placeholder: string;
  /** A press at a point of the text: the person wants to edit there. */
  onPress: (event: PointerEvent) => void;
}

/** A cell's code without an editor, laid out exactly as the editor lays it out. */
export function StaticCode({ source, language, wraps, placeholder, onPress }: StaticCodeProps) {
  const code = source.value;
  const lines = highlightLines(code, language);
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current) markScrollStop(element.current);
  }, [code, wraps]);
  return (
    <div ref={element} class={`ed-static ${wraps ? "ed-wraps" : ""}`} onPointerDown={onPress}>
      {code === "" ? (
        <div class="ed-line ed-placeholder">{placeholder || "\u200b"}</div>
      ) : (
        lines.map((tokens, at) => (
          <div class="ed-line" key={at}>
            {tokens.length === 0 ? "\u200b" : tokens.map((token) => (token.class ? <span class={token.class}>{token.text}</span> : token.text))}
          </div>
        ))
      )}
    </div>
  );
}
