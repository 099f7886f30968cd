import type { HubError } from "../../api/errors";
import { request } from "../../api/client";
import { adminUrl } from "../../router";
import { formatTime, formatTimeOfDay, plural } from "../../store/format";
import { formatPair } from "../../store/quantities";
import { DataTable, type Column } from "../../ui/DataTable";
import { Icon } from "../../ui/Icon";
import type { MenuItem } from "../../ui/Menu";
import { EMPTY_STATE, type TableState } from "../../ui/tableState";
import { toast, toastError } from "../../ui/toast";
import { openDrain } from "./DrainDialog";
import { Ago, Badge, NOTHING, UseBar, type BadgeKind } from "./parts";
import type { HubNode } from "./types";

const STATES: Readonly<Record<HubNode["state"], [title: string, kind: BadgeKind]>> = {
  up: ["Up", "ok"],
  draining: ["Draining", "warn"],
  lost: ["Lost", "danger"],
};

const COLUMNS: readonly Column<HubNode>[] = [
  {
    id: "id",
    title: "Node",
    sort: "up",
    render: (node, tabIndex) => (
      <>
        <span class="cell-main">
          <a href={adminUrl("kernels", null, `node=${encodeURIComponent(node.id)}`)} tabIndex={tabIndex} title={`Kernels on ${node.id}`}>
            {node.id}
          </a>
          {node.warnings.length > 0 && (
            <span class="node-warning" title={node.warnings.join("\n")}>
              <Icon name="warning" size={13} />
              <span class="visually-hidden">{node.warnings.join(" ")}</span>
            </span>
          )}
        </span>
        <span class="cell-sub">{plural(node.kernel_count, "kernel")}</span>
      </>
    ),
  },
  {
    id: "state",
    title: "State",
    sort: "up",
    width: "6.5rem",
    smallWidth: "5.5rem",
    render: (node) => (
      <span class="node-state">
        <Badge kind={STATES[node.state][1]}>{STATES[node.state][0]}</Badge>
        {node.drain_at !== null && (
          <span class="node-until" title={`What still runs there ends on ${formatTime(node.drain_at)}.`}>
            until {formatTimeOfDay(Date.parse(node.drain_at))}
          </span>
        )}
      </span>
    ),
  },
  {
    id: "memory",
    title: "Memory in use",
    width: "15%",
    mediumWidth: "21%",
    smallWidth: "6.75rem",
    render: (node) => <UseBar used={node.memory_used_bytes} limit={node.memory_total_bytes} unit="bytes" label={`Memory of ${node.id}`} />,
  },
  {
    id: "reserved",
    title: "Promised",
    hides: "medium",
    width: "9rem",
    render: (node) => (node.memory_reserved_bytes === null ? NOTHING : node.memory_total_bytes === null ? NOTHING : formatPair(node.memory_reserved_bytes, node.memory_total_bytes, "bytes")),
  },
  { id: "cpu", title: "CPU", hides: "small", width: "12%", mediumWidth: "20%", render: (node) => <UseBar used={node.cpu_used} limit={node.cpu_total} unit="cores" label={`CPU of ${node.id}`} /> },
  {
    id: "kernel_count",
    title: "Kernels",
    sort: "down",
    hides: "small",
    width: "5.5rem",
    align: "end",
    render: (node) => (!node.slot_count ? node.kernel_count : `${String(node.kernel_count)} of ${String(node.slot_count)}`),
  },
  { id: "provisioner", title: "Isolation", hides: "medium", width: "6rem", render: (node) => node.isolation ?? node.provisioner ?? NOTHING },
  { id: "last_seen_at", title: "Last seen", sort: "down", hides: "medium", width: "6rem", align: "end", render: (node) => <Ago time={node.last_seen_at} /> },
];

const LABELS: Column<HubNode> = {
  id: "labels",
  title: "Labels",
  hides: "medium",
  width: "11%",
  render: (node) => {
    const labels = Object.entries(node.labels).map(([name, value]) => (value ? `${name}=${value}` : name));
    return labels.length === 0 ? NOTHING : <span title={labels.join(", ")}>{labels.join(", ")}</span>;
  },
};

/** The machines that run kernels: how full each is, and draining. */
export function NodeTable({
  nodes,
  total,
  state,
  onState,
  error = null,
  onChanged,
  isShort = false,
}: {
  nodes: readonly HubNode[] | null;
  total?: number;
  state?: TableState;
  onState?: (state: TableState) => void;
  error?: HubError | null;
  onChanged: () => void;
  isShort?: boolean;
}) {
  const columns = isShort ? COLUMNS.map((column) => ({ ...column, sort: undefined })) : [...COLUMNS.slice(0, -1), LABELS, ...COLUMNS.slice(-1)];
  return (
    <DataTable
      label="Nodes"
      nouns={["node", "nodes"]}
      columns={columns}
      rows={nodes}
      total={total ?? nodes?.length ?? 0}
      state={state ?? EMPTY_STATE}
      onState={onState ?? (() => undefined)}
      idOf={(node) => node.id}
      nameOf={(node) => node.id}
      error={error}
      onRetry={onChanged}
      menuOf={(node) => nodeMenu(node, onChanged)}
      empty={<p>No node has registered. Kernels cannot start until one does.</p>}
    />
  );
}

function nodeMenu(node: HubNode, onChanged: () => void): MenuItem[] {
  const send = async (method: "POST" | "DELETE", path: string, done: string) => {
    try {
      await request(`admin/nodes/${encodeURIComponent(node.id)}${path}`, { method });
      toast({ kind: "ok", text: done });
    } catch (refusal) {
      toastError(refusal);
    }
    onChanged();
  };
  if (node.state === "lost") return [{ label: "Forget this node", icon: "trash", danger: true, run: () => send("DELETE", "", `${node.id} is forgotten.`) }];
  return node.state === "draining"
    ? [
        { label: "Take kernels again", icon: "undo", run: () => send("POST", "/undrain", `${node.id} takes kernels again.`) },
        { label: "When its kernels end…", icon: "pause", run: () => openDrain(node, onChanged) },
      ]
    : [{ label: "Drain…", icon: "pause", run: () => openDrain(node, onChanged) }];
}
