import { useState } from "preact/hooks";
import { request } from "../../api/client";
import { messageOf } from "../../api/errors";
import { plural } from "../../store/format";
import { Button } from "../../ui/Button";
import { Dialog, Field } from "../../ui/Dialog";
import { showLayer } from "../../ui/layers";
import { toast } from "../../ui/toast";
import type { HubNode } from "./types";

/** Minutes after which the kernels end that are still there; null: they go on until people stop them. */
const SPANS: readonly { minutes: number | null; title: string }[] = [
  { minutes: null, title: "When people stop them" },
  { minutes: 15, title: "In 15 minutes" },
  { minutes: 60, title: "In an hour" },
  { minutes: 4 * 60, title: "In 4 hours" },
  { minutes: 24 * 60, title: "In a day" },
];

/** Takes a node out of service: no new kernels, and those it has until when. */
export function openDrain(node: HubNode, onChanged: () => void): void {
  const hide = showLayer(<DrainDialog node={node} onClose={() => hide()} onChanged={onChanged} />);
}

function DrainDialog({ node, onClose, onChanged }: { node: HubNode; onClose: () => void; onChanged: () => void }) {
  const [minutes, setMinutes] = useState<number | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isDraining = node.state === "draining";
  const running = node.kernel_count === 0 ? "Nothing runs there now." : `${plural(node.kernel_count, "kernel")} ${node.kernel_count === 1 ? "runs" : "run"} there now.`;

  const drain = async () => {
    setBusy(true);
    try {
      const until = minutes === null ? null : new Date(Date.now() + minutes * 60_000).toISOString();
      await request(`admin/nodes/${encodeURIComponent(node.id)}/drain`, { method: "POST", json: { until } });
      onClose();
      toast({ kind: "ok", text: `${node.id} takes no new kernels.` });
      onChanged();
    } catch (refusal) {
      setError(messageOf(refusal));
      setBusy(false);
    }
  };

  return (
    <Dialog
      title={isDraining ? `When do kernels on ${node.id} end?` : `Drain ${node.id}?`}
      onClose={onClose}
      onSubmit={drain}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={isBusy}>
            {isDraining ? "Set" : "Drain"}
          </Button>
        </>
      }
    >
      <p>No new kernel starts there. {running} You can undo this.</p>
      <Field label="What runs there ends" hint={minutes === null ? "Kernels go on for as long as people use them." : "Its people are told in their notebooks, 5 minutes before at the latest."} error={error}>
        {(attributes) => (
          <select {...attributes} class="input" value={String(minutes)} onChange={(event) => setMinutes(SPANS.find((span) => String(span.minutes) === event.currentTarget.value)?.minutes ?? null)}>
            {SPANS.map((span) => (
              <option key={span.title} value={String(span.minutes)}>
                {span.title}
              </option>
            ))}
          </select>
        )}
      </Field>
    </Dialog>
  );
}
