/** Text of stdout or stderr: head, what is not shown, tail; in blocks that are laid out only when they are near. */

import { memo } from "./memo";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { StreamOutput } from "../../store/outputLog";
import { type StyledText, styleToCss } from "./ansi";
import { OutputContext, useOutput } from "./OutputContext";
import { countLines, type TextBlock, toBlocks } from "./textBlocks";

/** More lines than this are shown in a box that scrolls by itself. */
export const BOX_LINES = 60;

export function Runs({ runs }: { runs: readonly StyledText[] }) {
  return (
    <>
      {runs.map((run, number) => {
        const css = styleToCss(run.style);
        return css ? (
          <span key={number} class={css.class} style={css.style}>
            {run.text}
          </span>
        ) : (
          run.text
        );
      })}
    </>
  );
}

const Block = memo(function Block({ block }: { block: TextBlock }) {
  return (
    <div class="out-block" style={{ "--out-lines": String(Math.max(1, block.lineCount)) }}>
      <Runs runs={block.runs} />
    </div>
  );
});

export const Stream = memo(function Stream({ output, index }: { output: StreamOutput; index: number }) {
  const blocks = useRef<{ head: TextBlock[]; tail: TextBlock[] }>({ head: [], tail: [] });
  const tail = output.tail ?? "";
  const omitted = output.omitted ?? 0;
  const head = toBlocks(output.text, 0, undefined, blocks.current.head);
  // Behind a gap the colour is not known; without one it goes on.
  const endOfHead = omitted === 0 ? head.at(-1)?.endStyle : undefined;
  const tailBlocks = toBlocks(tail, output.text.length + omitted, endOfHead, blocks.current.tail);
  blocks.current = { head, tail: tailBlocks };
  const lineCount = countLines(output.text) + countLines(tail);
  return (
    <ScrollBox lineCount={lineCount} growth={output} label={output.name === "stderr" ? "Standard error" : "Standard output"}>
      <div class={`out-text out-${output.name}`}>
        {head.map((block) => (
          <Block key={`h${String(block.key)}`} block={block} />
        ))}
        {omitted > 0 && <Omitted output={output} index={index} units={omitted} />}
        {tailBlocks.map((block) => (
          <Block key={`t${String(block.key)}`} block={block} />
        ))}
      </div>
      {output.limit_reached && omitted === 0 && <Omitted output={output} index={index} units={0} />}
    </ScrollBox>
  );
});

function Omitted({ output, index, units }: { output: StreamOutput; index: number; units: number }) {
  const { textUrl } = useOutput(OutputContext);
  const keptBytes = (output.chunks ?? []).reduce((sum, chunk) => sum + chunk.size_bytes, 0);
  return (
    <div class="out-omitted" role="note">
      {units > 0 && <span>{formatCount(units)} characters not shown here.</span>}
      {output.limit_reached && <span> Only the first {formatSize(keptBytes)} of this text are kept.</span>}{" "}
      {keptBytes > 0 && (
        <a href={textUrl(index)} download>
          Download the whole text ({formatSize(keptBytes)})
        </a>
      )}
    </div>
  );
}

const formatCount = (count: number): string => count.toLocaleString("en");

export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${String(bytes)} B`;
  const [value, unit] = bytes < 1024 ** 2 ? [bytes / 1024, "kB"] : [bytes / 1024 ** 2, "MB"];
  return `${value < 10 ? value.toFixed(1) : String(Math.round(value))} ${unit}`;
}

interface ScrollBoxProps {
  lineCount: number;
  /** Changes when something was added: a box that was scrolled to its end stays there. */
  growth: unknown;
  label: string;
  children: preact.ComponentChildren;
}

/** A long text in a box of its own height; one click shows all of it. */
function ScrollBox({ lineCount, growth, label, children }: ScrollBoxProps) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const [isWhole, setIsWhole] = useState(false);
  const isBox = lineCount > BOX_LINES && !isWhole;
  useLayoutEffect(() => {
    const element = box.current;
    if (isBox && element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [growth, isBox]);
  useEffect(() => {
    const element = box.current;
    if (!element || !isBox) return undefined;
    const onScroll = (): void => {
      isAtEnd.current = element.scrollTop + element.clientHeight >= element.scrollHeight - 24;
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => { element.removeEventListener("scroll", onScroll); };
  }, [isBox]);
  return (
    <>
      <div ref={box} class={isBox ? "out-box" : undefined} role={isBox ? "region" : undefined} aria-label={isBox ? label : undefined} tabIndex={isBox ? 0 : undefined}>
        {children}
      </div>
      {lineCount > BOX_LINES && (
        <button type="button" class="out-link" aria-expanded={isWhole} onClick={() => { setIsWhole(!isWhole); }}>
          {isWhole ? "Show in a box" : `Show all ${formatCount(lineCount)} lines`}
        </button>
      )}
    </>
  );
}
