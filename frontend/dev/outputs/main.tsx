/** Outputs alone on a page, fed from outside: for the browser tests of the renderers, and to look at them. */

import { render } from "preact";

import { Markdown, Outputs } from "../../src/notebook/outputs";
import { createOutputLog, type LogMessage } from "../../src/store/outputLog";
import "../../src/ui/theme.css";

const log = createOutputLog();

declare global {
  interface Window {
    feed: (message: LogMessage) => void;
    showMarkdown: (source: string) => void;
  }
}

window.feed = (message) => { log.receive(message); };

function Page({ markdown }: { markdown: string }) {
  return (
    <>
      <Outputs cellId="a" documentId="doc" log={log} />
      {markdown && <Markdown source={markdown} attachments={{ "dot.png": { "image/png": "iVBORw0KGgo=" } }} />}
      <label>
        Elsewhere <input id="elsewhere" />
      </label>
    </>
  );
}

const root = document.getElementById("outputs");
if (root) {
  window.showMarkdown = (markdown) => { render(<Page markdown={markdown} />, root); };
  window.showMarkdown("");
  // A snapshot in the address is shown at once.
  if (location.hash) log.receive(JSON.parse(decodeURIComponent(location.hash.slice(1))) as LogMessage);
}
