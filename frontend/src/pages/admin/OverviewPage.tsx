import type { KernelState } from "../../api/types";
import { kernelStateTitle } from "../../panels/kernelState";
import { adminUrl } from "../../router";
import { plural } from "../../store/format";
import { me } from "../../store/me";
import { formatDuration } from "../../store/quantities";
import { Icon } from "../../ui/Icon";
import { Loading } from "../../ui/Progress";
import { EMPTY_STATE } from "../../ui/tableState";
import { EventList } from "./EventList";
import { KernelTable } from "./KernelTable";
import { NodeTable } from "./NodeTable";
import { Failed, PageHead, Section } from "./parts";
import type { AdminKernel, AuditEvent, HubWarning, Overview } from "./types";
import { useFetched, useList } from "./useList";

const REFRESH_MS = 5_000;
const EVENTS_REFRESH_MS = 15_000;
const MOST_SHOWN = 8;
const BY_MEMORY = { ...EMPTY_STATE, sort: "-memory_bytes" };

/** The hub at a glance: is anything wrong, who is here, how full is it. */
export function OverviewPage() {
  const isHub = me.data.value?.administers === "hub";
  const overview = useFetched<Overview>("admin/overview", REFRESH_MS);
  const kernels = useList<AdminKernel>("admin/kernels", BY_MEMORY, { everyMs: REFRESH_MS });
  const events = useList<AuditEvent>("admin/audit", EMPTY_STATE, { everyMs: EVENTS_REFRESH_MS });
  const now = overview.data;
  if (now === null) return overview.error ? <Failed error={overview.error} onRetry={() => void overview.refresh()} /> : <Loading />;

  const upCount = now.nodes.filter((node) => node.state === "up").length;
  return (
    <div class="admin-content">
      <PageHead title="Overview" />
      <Warnings warnings={now.warnings} />
      <div class="tiles">
        <Tile title="People online" section="people" query="state=online" figure={now.people.online} of={now.people.total} note={[plural(now.teams, "team"), plural(now.projects, "project")].join(" · ")} />
        <a class="tile" href={adminUrl("kernels")}>
          <span class="tile-title">Kernels</span>
          <span class="tile-figure">{now.kernels.total.toLocaleString("en-GB")}</span>
          <span class="tile-note">
            <StateWords counts={now.kernels.by_state} />
            <StateBar counts={now.kernels.by_state} />
          </span>
        </a>
        <Tile
          title="Waiting for a place"
          section="kernels"
          query="state=pending"
          figure={now.queue.length}
          note={now.queue.length === 0 ? "Nobody waits" : now.queue.oldest_wait_s === null ? "" : `The longest for ${formatDuration(wholeMinutes(now.queue.oldest_wait_s))}`}
        />
        {isHub ? (
          <Tile title="Nodes up" section="nodes" figure={upCount} of={now.nodes.length} note={nodeNote(now)} />
        ) : (
          <Tile title="People" section="people" figure={now.people.total} note={now.people.disabled ? `${String(now.people.disabled)} disabled` : "in your teams"} />
        )}
      </div>
      {isHub && (
        <Section title="Nodes">
          <NodeTable nodes={now.nodes} onChanged={() => void overview.refresh()} isShort />
        </Section>
      )}
      <Section title="Kernels that use the most memory" actions={<a href={adminUrl("kernels")}>All kernels</a>}>
        <KernelTable rows={kernels.rows?.slice(0, MOST_SHOWN) ?? null} error={kernels.error} onChanged={() => void kernels.refresh()} />
      </Section>
      <Section title="Last events" actions={<a href={adminUrl("audit")}>Audit log</a>}>
        <EventList events={events.rows?.slice(0, MOST_SHOWN) ?? null} error={events.error} />
      </Section>
    </div>
  );
}

function Warnings({ warnings }: { warnings: readonly HubWarning[] }) {
  if (warnings.length === 0) return null;
  return (
    <ul class="notices" aria-label="Warnings">
      {warnings.map((warning, index) => (
        <li key={`${warning.code}-${warning.subject?.id ?? ""}-${String(index)}`} class={`notice ${warning.level === "error" ? "notice-error" : ""}`}>
          <Icon name={warning.level === "error" ? "error" : "warning"} size={15} />
          <p>{warning.message}</p>
          {warning.subject?.kind === "node" && <a href={adminUrl("nodes")}>Nodes</a>}
          {warning.subject?.kind === "person" && <a href={adminUrl("people", warning.subject.id)}>{warning.subject.id}</a>}
        </li>
      ))}
    </ul>
  );
}

function Tile({ title, section, query, figure, of, note }: { title: string; section: string; query?: string; figure: number; of?: number; note: string }) {
  return (
    <a class="tile" href={adminUrl(section, null, query)}>
      <span class="tile-title">{title}</span>
      <span class="tile-figure">
        {figure.toLocaleString("en-GB")}
        {of !== undefined && <small> of {of.toLocaleString("en-GB")}</small>}
      </span>
      <span class="tile-note">{note}</span>
    </a>
  );
}

function nodeNote(now: Overview): string {
  const draining = now.nodes.filter((node) => node.state === "draining").length;
  const lost = now.nodes.filter((node) => node.state === "lost").length;
  if (draining + lost === 0) return now.nodes.length === 0 ? "None has registered" : "All are well";
  return [draining ? `${String(draining)} draining` : "", lost ? `${String(lost)} lost` : ""].filter(Boolean).join(" · ");
}

function wholeMinutes(seconds: number): number {
  return seconds < 60 ? seconds : seconds - (seconds % 60);
}

type Counts = Overview["kernels"]["by_state"];

function counted(counts: Counts): [KernelState, number][] {
  const order: readonly KernelState[] = ["busy", "idle", "starting", "restarting", "pending", "stopping"];
  return order.map((state): [KernelState, number] => [state, counts[state] ?? 0]).filter(([, count]) => count > 0);
}

function StateWords({ counts }: { counts: Counts }) {
  const shown = counted(counts).slice(0, 3);
  return (
    <span class="state-words">
      {shown.length === 0 && "Nothing runs"}
      {shown.map(([state, count]) => (
        <span key={state} class="state-word">
          <span class={`kernel-dot kernel-dot-${state}`} aria-hidden="true" />
          {count} {state === "pending" ? "waiting" : kernelStateTitle(state).toLowerCase()}
        </span>
      ))}
    </span>
  );
}

function StateBar({ counts }: { counts: Counts }) {
  return (
    <span class="state-bar" aria-hidden="true">
      {counted(counts).map(([state, count]) => (
        <span key={state} class={`state-${state}`} style={{ flexGrow: count }} />
      ))}
    </span>
  );
}
