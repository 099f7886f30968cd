import { Icon } from "../../ui/Icon";
import { NodeTable } from "./NodeTable";
import { PageHead, Section } from "./parts";
import type { HubNode } from "./types";
import { useList, useTableState } from "./useList";

const REFRESH_MS = 5_000;

/** The machines that run kernels. */
export function NodesPage() {
  const [state, setState] = useTableState([]);
  const nodes = useList<HubNode>("admin/nodes", state, { everyMs: REFRESH_MS });
  const warned = (nodes.rows ?? []).filter((node) => node.warnings.length > 0);
  return (
    <div class="admin-content">
      <PageHead title="Nodes" note="A drained node takes no new kernels; what runs there goes on, or ends at a time you set." />
      <NodeTable nodes={nodes.rows} total={nodes.total} state={state} onState={setState} error={nodes.error} onChanged={() => void nodes.refresh()} />
      {warned.length > 0 && (
        <ul class="notices" aria-label="Warnings of nodes">
          {warned.flatMap((node) =>
            node.warnings.map((warning) => (
              <li key={`${node.id} ${warning}`} class="notice">
                <Icon name="warning" size={15} />
                <p>
                  <strong>{node.id}:</strong> {warning}
                </p>
              </li>
            )),
          )}
        </ul>
      )}
      {nodes.rows !== null && nodes.rows.length > 0 && (
        <Section title="Kernelspecs" note="What can be started, and where.">
          <dl class="facts spec-list">
            {specsOf(nodes.rows).map(([name, ids]) => (
              <div key={name}>
                <dt>
                  <code>{name}</code>
                </dt>
                <dd title={ids.join(", ")}>{ids.length === nodes.rows?.length ? "everywhere" : ids.join(", ")}</dd>
              </div>
            ))}
          </dl>
        </Section>
      )}
    </div>
  );
}

/** Kernelspec → the nodes that have it. */
function specsOf(nodes: readonly HubNode[]): [string, string[]][] {
  const found = new Map<string, string[]>();
  for (const node of nodes) for (const name of node.kernelspecs) found.set(name, [...(found.get(name) ?? []), node.id]);
  return [...found].sort(([one], [other]) => one.localeCompare(other));
}
