import type { ComponentChildren } from "preact";
import type { HubError } from "../../api/errors";
import { requestJson } from "../../api/client";
import { kernelStateTitle } from "../../panels/kernelState";
import { projectUrl } from "../../router";
import { plural } from "../../store/format";
import { nameOf } from "../../store/paths";
import { formatDuration, formatQuantity } from "../../store/quantities";
import { confirm } from "../../ui/Dialog";
import { DataTable, type Column } from "../../ui/DataTable";
import type { TableFilter } from "../../ui/TableTools";
import type { MenuItem } from "../../ui/Menu";
import { EMPTY_STATE, type TableState } from "../../ui/tableState";
import { toast, toastError } from "../../ui/toast";
import { Button } from "../../ui/Button";
import { Ago, NOTHING, PersonCell, UseBar } from "./parts";
import type { AdminKernel, Outcome } from "./types";

export function kernelTitle(kernel: AdminKernel): string {
  return kernel.document ? nameOf(kernel.document.path) : kernel.kernelspec_name;
}

const COLUMNS: readonly Column<AdminKernel>[] = [
  {
    id: "notebook",
    title: "Notebook",
    render: (kernel, tabIndex) => (
      <>
        <a class="cell-main" href={projectUrl(kernel.project, kernel.document?.path ?? null)} tabIndex={tabIndex} title={kernel.document?.path}>
          {kernelTitle(kernel)}
        </a>
        <span class="cell-sub">{[kernel.owner?.display_name || kernel.owner?.username, kernelStateTitle(kernel.state)].filter(Boolean).join(" · ")}</span>
      </>
    ),
  },
  { id: "owner", title: "Owner", sort: "up", hides: "small", width: "13.5%", mediumWidth: "22%", render: (kernel, tabIndex) => (kernel.owner ? <PersonCell person={kernel.owner} tabIndex={tabIndex} /> : NOTHING) },
  { id: "project", title: "Project", hides: "medium", width: "11%", render: (kernel) => <span title={`${kernel.team}/${kernel.project.slug}`}>{kernel.project.name}</span> },
  { id: "state", title: "State", sort: "up", hides: "small", width: "7rem", render: (kernel) => <KernelStateCell kernel={kernel} /> },
  {
    id: "memory_bytes",
    title: "Memory",
    sort: "down",
    width: "8rem",
    render: (kernel) => <UseBar used={kernel.memory_bytes} limit={kernel.memory_limit_bytes} unit="bytes" label={`Memory of ${kernelTitle(kernel)}`} />,
  },
  {
    id: "cpu_cores",
    title: "CPU cores",
    sort: "down",
    hides: "small",
    width: "5.75rem",
    align: "end",
    render: (kernel) => (kernel.cpu_cores === null ? NOTHING : <span title={kernel.cpu_limit_cores === null ? "No limit" : `At most ${formatQuantity(kernel.cpu_limit_cores, "cores")}`}>{kernel.cpu_cores.toFixed(kernel.cpu_cores < 10 ? 2 : 1)}</span>),
  },
  { id: "idle", title: "Idle for", hides: "small", width: "5.5rem", align: "end", render: (kernel) => idleFor(kernel) },
  { id: "node", title: "Node", sort: "up", hides: "medium", width: "9%", render: (kernel) => (kernel.node ? <span title={kernel.node}>{kernel.node}</span> : NOTHING) },
  { id: "created_at", title: "Started", sort: "down", hides: "medium", width: "5.75rem", align: "end", render: (kernel) => <Ago time={kernel.created_at} /> },
];

/** Kernels with their live figures, and what an administrator can do about them. */
export function KernelTable({
  rows,
  total,
  state,
  onState,
  error,
  filters,
  tools,
  searchHint,
  isBulk = false,
  hidden = [],
  onChanged,
}: {
  rows: readonly AdminKernel[] | null;
  total?: number;
  state?: TableState;
  onState?: (state: TableState) => void;
  error: HubError | null;
  filters?: readonly TableFilter[];
  tools?: ComponentChildren;
  searchHint?: string;
  isBulk?: boolean;
  /** Columns that say nothing where the table stands. */
  hidden?: readonly string[];
  onChanged: () => void;
}) {
  const columns = COLUMNS.filter((column) => !hidden.includes(column.id));
  return (
    <DataTable
      label="Kernels"
      nouns={["kernel", "kernels"]}
      columns={onState ? columns : columns.map((column) => ({ ...column, sort: undefined }))}
      rows={rows}
      total={total ?? rows?.length ?? 0}
      state={state ?? EMPTY_STATE}
      onState={onState ?? (() => undefined)}
      idOf={(kernel) => kernel.id}
      nameOf={kernelTitle}
      error={error}
      onRetry={onChanged}
      filters={filters}
      searchHint={searchHint}
      tools={tools}
      menuOf={(kernel) => kernelMenu(kernel, onChanged)}
      bulk={
        isBulk
          ? (ids, clear) => (
              <Button
                icon="stop"
                kind="danger"
                onClick={async () => {
                  const chosen = (rows ?? []).filter((kernel) => ids.includes(kernel.id));
                  if (await stopKernels(chosen)) {
                    clear();
                    onChanged();
                  }
                }}
              >
                Stop {plural(ids.length, "kernel")}
              </Button>
            )
          : undefined
      }
      empty={<p>Nothing is running.</p>}
    />
  );
}

function KernelStateCell({ kernel }: { kernel: AdminKernel }) {
  const title = kernel.queue_position !== null ? `Waiting (${String(kernel.queue_position)})` : kernelStateTitle(kernel.state);
  return (
    <span class="state-cell" title={kernel.reason ?? undefined}>
      <span class={`kernel-dot kernel-dot-${kernel.state}`} aria-hidden="true" />
      <span class="truncate">{title}</span>
    </span>
  );
}

function idleFor(kernel: AdminKernel) {
  if (kernel.idle_since === null) return NOTHING;
  const seconds = Math.max(0, (Date.now() - Date.parse(kernel.idle_since)) / 1000);
  return <span title={`Since ${new Date(kernel.idle_since).toLocaleString("en-GB")}`}>{seconds < 60 ? "< 1 min" : formatDuration(seconds - (seconds % 60))}</span>;
}

function kernelMenu(kernel: AdminKernel, onChanged: () => void): MenuItem[] {
  return [
    {
      label: "Stop kernel",
      icon: "stop",
      danger: true,
      disabled: kernel.state === "stopping",
      run: async () => {
        if (await stopKernels([kernel])) onChanged();
      },
    },
  ];
}

/** Asks, stops, and says what came of it. False when the person gave up or the hub refused. */
async function stopKernels(kernels: readonly AdminKernel[]): Promise<boolean> {
  const busy = kernels.filter((kernel) => kernel.state === "busy").length;
  const [first] = kernels;
  if (!first) return false;
  const isSure = await confirm({
    title: kernels.length === 1 ? `Stop ${kernelTitle(first)}?` : `Stop ${plural(kernels.length, "kernel")}?`,
    text: `${busy === 0 ? "" : kernels.length === 1 ? "It is running something. " : `${String(busy)} of them ${busy === 1 ? "is" : "are"} running something. `}Variables are lost; notebooks and their outputs stay. The notebook tells that an administrator stopped it.`,
    action: kernels.length === 1 ? "Stop kernel" : "Stop kernels",
    danger: true,
  });
  if (!isSure) return false;
  return sendStop({ ids: kernels.map((kernel) => kernel.id) });
}

/** Sends `POST admin/kernels/stop`. */
export async function sendStop(what: { ids: readonly string[] } | { all: true; owner?: string; team?: string; node?: string }): Promise<boolean> {
  try {
    const answer = await requestJson<{ stopped: string[] } & Outcome<"id">>("admin/kernels/stop", { method: "POST", json: what });
    const [failure] = answer.failed;
    const stopped = `${plural(answer.stopped.length, "kernel")} ${answer.stopped.length === 1 ? "is" : "are"} being stopped.`;
    if (failure) toast({ kind: "error", text: `${stopped} ${plural(answer.failed.length, "other")} could not be: ${failure.message}` });
    else toast({ kind: "ok", text: stopped });
    return true;
  } catch (refusal) {
    toastError(refusal);
    return false;
  }
}
