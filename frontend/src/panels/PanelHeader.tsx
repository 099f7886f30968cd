import type { ComponentChildren } from "preact";
import { showPanel } from "../store/layout";
import { IconButton } from "../ui/Button";

/** Title of a side panel and what one can do there; on a phone also the way back. */
export function PanelHeader({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <header class="panel-header">
      <h2>{title}</h2>
      <div class="panel-actions">
        {children}
        <IconButton icon="close" label={`Close ${title}`} class="narrow-only" onClick={() => showPanel(null)} />
      </div>
    </header>
  );
}
