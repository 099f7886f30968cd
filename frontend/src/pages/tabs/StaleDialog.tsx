import type { StaleSave } from "../../editor/textFile";
import { nameOf } from "../../store/paths";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { showLayer } from "../../ui/layers";

/** `theirs`: show the file as it is now. `compare`: open both. `mine`: replace the file. `later`: go on editing. */
export type StaleChoice = "theirs" | "compare" | "mine" | "later";

/** Tells that someone else saved first, where both versions are, and asks how to go on. */
export function askAboutStale(name: string, stale: StaleSave): Promise<StaleChoice> {
  return new Promise((resolve) => {
    const end = (choice: StaleChoice) => {
      hide();
      resolve(choice);
    };
    const hide = showLayer(
      <Dialog
        title={`${name} was changed elsewhere`}
        size="medium"
        onClose={() => end("later")}
        onSubmit={() => end(stale.keptAs === null ? "theirs" : "compare")}
        footer={
          <>
            <Button kind="danger" onClick={() => end("mine")}>
              Replace theirs with mine
            </Button>
            <Button onClick={() => end("theirs")}>Show theirs</Button>
            {stale.keptAs !== null && (
              <Button type="submit" kind="primary" data-autofocus>
                Open both
              </Button>
            )}
          </>
        }
      >
        <p>Someone else, or something that runs, saved this file after you opened it. Nothing is lost:</p>
        <dl class="versions">
          <div>
            <dt>Their version</dt>
            <dd>
              <code>{name}</code>
            </dd>
          </div>
          <div>
            <dt>Your version</dt>
            <dd>{stale.keptAs === null ? "still in this tab, not saved" : <code>{nameOf(stale.keptAs)}</code>}</dd>
          </div>
        </dl>
      </Dialog>,
    );
  });
}
