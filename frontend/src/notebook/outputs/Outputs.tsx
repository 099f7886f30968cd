/** The outputs of one cell; each is drawn again only when it changed itself. */

import { useComputed, useSignal } from "@preact/signals";
import { Component, type ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";

import type { Output, OutputLog } from "../../store/outputLog";
import { Display } from "./Display";
import { ErrorView } from "./ErrorView";
import { OutputContext, outputPlace } from "./OutputContext";
import { Stream } from "./StreamText";
import "./outputs.css";
import "./markdown.css";

export interface OutputActions {
  replyInput(inputId: string, value: string): void;
}

export interface OutputsProps {
  cellId: string;
  documentId: string;
  log: OutputLog;
  /** What the person may do from here; the notebook draws the line `input()` waits for itself. */
  actions?: OutputActions;
}

const FIRST_SHOWN = 50;
/** Which cells' outputs are folded away, as long as the page lives. */
const collapsed = new Set<string>();

export function Outputs({ cellId, documentId, log }: OutputsProps) {
  const place = useMemo(() => outputPlace(documentId, cellId), [documentId, cellId]);
  const outputs = useComputed(() => log.cell(cellId).value.outputs);
  const key = `${documentId}/${cellId}`;
  const isCollapsed = useSignal(collapsed.has(key));
  const isWhole = useSignal(false);
  const list = outputs.value;
  if (list.every(isEmpty)) return null;
  const toggle = (): void => {
    isCollapsed.value = !isCollapsed.value;
    if (isCollapsed.value) collapsed.add(key);
    else collapsed.delete(key);
  };
  const shown = isWhole.value ? list : list.slice(0, FIRST_SHOWN);
  return (
    <OutputContext.Provider value={place}>
      <div class={isCollapsed.value ? "out is-collapsed" : "out"}>
        <button type="button" class="out-bar" aria-expanded={!isCollapsed.value} aria-label={isCollapsed.value ? "Show the outputs" : "Fold the outputs away"} onClick={toggle} />
        <div class="out-list">
          {isCollapsed.value ? (
            <button type="button" class="out-link" onClick={toggle}>
              {summary(list)} …
            </button>
          ) : (
            shown.map((output, index) => (
              <Guarded key={index}>
                <One output={output} index={index} />
              </Guarded>
            ))
          )}
          {!isCollapsed.value && list.length > shown.length && (
            <button type="button" class="out-link" onClick={() => { isWhole.value = true; }}>
              Show {String(list.length - shown.length)} more outputs
            </button>
          )}
        </div>
      </div>
    </OutputContext.Provider>
  );
}

function One({ output, index }: { output: Output; index: number }) {
  switch (output.output_type) {
    case "stream":
      return isEmpty(output) ? null : <Stream output={output} index={index} />;
    case "error":
      return <ErrorView output={output} />;
    case "notice":
      return (
        <div class="out-notice" role="note" data-code={output.code}>
          {output.text}
        </div>
      );
    case "display_data":
    case "execute_result":
      return <Display output={output} index={index} />;
    default:
      return <div class="out-notice">This page is older than the hub and cannot show this output. Reload it.</div>;
  }
}

/** A text that was printed and taken back (a progress line that erases itself) stays as an output without text. */
function isEmpty(output: Output): boolean {
  return output.output_type === "stream" && !output.text && !output.tail && !output.omitted && !output.limit_reached;
}

function summary(list: readonly Output[]): string {
  const first = list[0];
  const line = first?.output_type === "stream" ? (first.text.trim().split("\n", 1)[0] ?? "") : "";
  const count = list.length === 1 ? "1 output" : `${String(list.length)} outputs`;
  return line ? `${count}: ${line.slice(0, 80)}` : count;
}

/** An output that cannot be drawn does not take the notebook with it. */
class Guarded extends Component<{ children: ComponentChildren }, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static override getDerivedStateFromError(): { hasFailed: boolean } {
    return { hasFailed: true };
  }

  override render(): ComponentChildren {
    return this.state.hasFailed ? <div class="out-notice">This output cannot be shown.</div> : this.props.children;
  }
}
