import type { NotebookOutline, OutlineEntry } from "../notebook/outline";
import { NARROW_PX, showPanel } from "../store/layout";
import { PanelHeader } from "./PanelHeader";
import { type Section, sectionsOf } from "./outlineTree";
import "./outline.css";

const FIRST_REM = 0.75;
const STEP_REM = 1;

/** The headings of the open notebook: where one is, and the way to another. */
export function OutlinePanel({ outline }: { outline: NotebookOutline | undefined }) {
  return (
    <section class="panel" aria-label="Outline">
      <PanelHeader title="Outline" />
      {outline ? <Headings outline={outline} /> : <p class="panel-note muted">Open a notebook to see its headings.</p>}
    </section>
  );
}

function Headings({ outline }: { outline: NotebookOutline }) {
  const entries = outline.entries.value;
  if (entries.length === 0) return <p class="panel-note muted">No headings yet. In a text cell, a line that begins with # is one.</p>;
  const go = (entry: OutlineEntry): void => {
    if (innerWidth < NARROW_PX) showPanel(null); // it covers the notebook
    outline.go(entry);
  };
  return (
    <div class="outline">
      <Sections sections={sectionsOf(entries)} depth={0} current={outline.current.value} go={go} />
    </div>
  );
}

interface SectionsProps {
  sections: readonly Section<OutlineEntry>[];
  depth: number;
  current: OutlineEntry | null;
  go: (entry: OutlineEntry) => void;
}

function Sections({ sections, depth, current, go }: SectionsProps) {
  return (
    <ul>
      {sections.map(({ entry, sections: inner }) => (
        <li key={`${entry.cellId} ${String(entry.nth)}`}>
          <button
            type="button"
            class="outline-row"
            style={{ paddingInlineStart: `${String(FIRST_REM + depth * STEP_REM)}rem` }}
            title={entry.text}
            aria-current={entry === current ? "location" : undefined}
            onClick={() => go(entry)}
          >
            <span class="truncate">{entry.text || "Without words"}</span>
          </button>
          {inner.length > 0 && <Sections sections={inner} depth={depth + 1} current={current} go={go} />}
        </li>
      ))}
    </ul>
  );
}
