import { useState } from "preact/hooks";
import { requestJson } from "../../api/client";
import { messageOf } from "../../api/errors";
import type { Schemas } from "../../api/types";
import { Button } from "../../ui/Button";
import { Field } from "../../ui/Dialog";
import { Loading } from "../../ui/Progress";
import { toast } from "../../ui/toast";
import { Failed } from "./parts";
import { labelsText, parseLabels } from "./nodeLabels";
import { useFetched } from "./useList";

type Placement = Schemas["PlacementOut"];

/** On which nodes a team's kernels and terminals may run: those that have all the labels. */
export function TeamPlacement({ path }: { path: string }) {
  const fetched = useFetched<Placement>(path);
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const placement = fetched.data;
  if (placement === null) return fetched.error ? <Failed error={fetched.error} onRetry={() => void fetched.refresh()} /> : <Loading />;

  const saved = labelsText(placement.node_labels);
  const shown = text ?? saved;
  const offered = [...new Set(placement.nodes.flatMap((node) => Object.entries(node.labels).map(([name, value]) => `${name}=${value}`)))].sort();

  const save = async () => {
    const parsed = parseLabels(shown);
    if (parsed.problem !== null) return setError(parsed.problem);
    setBusy(true);
    try {
      fetched.set(await requestJson<Placement>(path, { method: "PUT", json: { node_labels: parsed.labels } }));
      setText(null);
      setError(null);
      toast({ kind: "ok", text: "What starts from now on follows. What runs stays where it is." });
    } catch (refusal) {
      setError(messageOf(refusal));
    }
    setBusy(false);
  };

  return (
    <form
      class="placement"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <Field label="Labels that a node must have" error={error} hint={<LabelHint offered={offered} />}>
        {(attributes) => (
          <div class="share-line">
            <input
              {...attributes}
              class="input"
              type="text"
              placeholder="none: every node will do"
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              value={shown}
              onInput={(event) => {
                setText(event.currentTarget.value);
                setError(null);
              }}
            />
            <Button type="submit" busy={isBusy} disabled={shown.trim() === saved}>
              Save
            </Button>
          </div>
        )}
      </Field>
      <Suitable placement={placement} />
    </form>
  );
}

function LabelHint({ offered }: { offered: readonly string[] }) {
  if (offered.length === 0) return <>No node has labels yet: they are set with NODE_LABELS where a node is started.</>;
  return (
    <>
      For example <code>{offered[0]}</code>; several with commas. The nodes have: {offered.join(", ")}.
    </>
  );
}

function Suitable({ placement }: { placement: Placement }) {
  const suitable = placement.nodes.filter((node) => node.is_suitable && node.state !== "lost");
  if (Object.keys(placement.node_labels).length === 0) return <p class="muted">The team’s kernels and terminals run on every node.</p>;
  if (suitable.length === 0) return <p class="field-error">No node that is up has all of this: the team cannot start kernels.</p>;
  return <p class="muted">The team’s kernels and terminals run on {suitable.map((node) => node.id).join(", ")} only.</p>;
}
