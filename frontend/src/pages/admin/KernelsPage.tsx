import type { KernelState } from "../../api/types";
import { kernelStateTitle } from "../../panels/kernelState";
import { plural } from "../../store/format";
import { me } from "../../store/me";
import { Button } from "../../ui/Button";
import { confirm } from "../../ui/Dialog";
import type { TableFilter } from "../../ui/TableTools";
import { KernelTable, sendStop } from "./KernelTable";
import { PageHead } from "./parts";
import type { AdminKernel, AdminTeam, HubNode } from "./types";
import { useFetched, useList, useTableState, type Listed } from "./useList";

const REFRESH_MS = 5_000;
const STATES: readonly KernelState[] = ["busy", "idle", "starting", "pending", "restarting", "stopping"];

/** Everything that runs, with what it uses now. */
export function KernelsPage() {
  const isHub = me.data.value?.administers === "hub";
  const [state, setState] = useTableState(["state", "owner", "team", "node", "project"]);
  const kernels = useList<AdminKernel>("admin/kernels", state, { everyMs: REFRESH_MS });
  const nodes = useFetched<Listed<HubNode>>(isHub ? "admin/nodes?limit=200" : "admin/teams?limit=1");
  const teams = useFetched<Listed<AdminTeam>>("admin/teams?limit=200&personal=0");

  const filters: TableFilter[] = [
    { id: "state", label: "State", any: "Any state", options: STATES.map((each) => ({ value: each, title: kernelStateTitle(each) })) },
    { id: "team", label: "Team", any: "Any team", options: (teams.data?.items ?? []).map((team) => ({ value: team.slug, title: team.name })) },
    ...(isHub ? [{ id: "node", label: "Node", any: "Any node", options: (nodes.data?.items ?? []).map((node) => ({ value: node.id, title: node.id })) }] : []),
  ];
  const { owner, team, node } = state.filters;
  // `stop all` knows these three; with a search or another filter it would stop more than is shown.
  const canStopAll = kernels.total > 0 && state.search === "" && Object.keys(state.filters).every((id) => id === "owner" || id === "team" || id === "node");

  const stopAll = async () => {
    const whose = [owner ? `of ${owner}` : "", team ? `in ${team}` : "", node ? `on ${node}` : ""].filter(Boolean).join(" ") || (isHub ? "of everyone" : "of your teams");
    const isSure = await confirm({
      title: `Stop ${plural(kernels.total, "kernel")} ${whose}?`,
      text: "What they run ends and their variables are lost; notebooks and their outputs stay.",
      action: "Stop all",
      danger: true,
    });
    if (isSure && (await sendStop({ all: true, ...(owner && { owner }), ...(team && { team }), ...(node && { node }) }))) await kernels.refresh();
  };

  return (
    <div class="admin-content">
      <PageHead title="Kernels" note={owner ? `Only those of ${owner}.` : undefined}>
        <Button icon="stop" kind="danger" disabled={!canStopAll} onClick={stopAll}>
          Stop all…
        </Button>
      </PageHead>
      <KernelTable
        rows={kernels.rows}
        total={kernels.total}
        state={state}
        onState={setState}
        error={kernels.error}
        filters={filters}
        searchHint="Notebook, person, project"
        isBulk
        onChanged={() => void kernels.refresh()}
      />
    </div>
  );
}
