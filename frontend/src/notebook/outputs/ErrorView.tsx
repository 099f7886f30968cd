import type { ErrorOutput } from "../../store/outputLog";
import { parseAnsi, withoutAnsi } from "./ansi";
import { memo } from "./memo";
import { Runs } from "./StreamText";

/** An exception as the kernel drew it; its name and message alone when there is no traceback. */
export const ErrorView = memo(function ErrorView({ output }: { output: ErrorOutput }) {
  const text = output.traceback.join("\n");
  const summary = `${output.ename}: ${output.evalue}`;
  return (
    <div class="out-error" role="group" aria-label={`Error: ${withoutAnsi(summary)}`}>
      <div class="out-text">
        <Runs runs={parseAnsi(text.trim() ? text : summary).runs} />
      </div>
    </div>
  );
});
