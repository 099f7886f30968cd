import { nameOf } from "../store/paths";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { showLayer } from "../ui/layers";
import type { OpenProject } from "./openProject";

type Answer = "save" | "drop" | "stay";

/** Closes a tab; asks first when work in it is not saved. */
export async function closeTab(work: OpenProject, path: string): Promise<void> {
  const tab = work.tabs.get(path);
  if (!tab) return;
  // Only views that are saved by hand ask: a live document sends its changes by itself, also after its tab is closed.
  if (tab.save && tab.status.peek().saved !== "saved" && work.tabs.unsaved().includes(tab)) {
    const answer = await askAboutUnsaved(nameOf(path));
    if (answer === "stay" || (answer === "save" && !(await tab.save()))) return;
  }
  const wasActive = work.tabs.active.peek() === path;
  work.tabs.close(path);
  if (wasActive) work.show(work.tabs.active.peek());
}

function askAboutUnsaved(name: string): Promise<Answer> {
  return new Promise((resolve) => {
    const end = (answer: Answer) => {
      hide();
      resolve(answer);
    };
    const hide = showLayer(
      <Dialog
        title={`Save ${name}?`}
        onClose={() => end("stay")}
        onSubmit={() => end("save")}
        footer={
          <>
            <Button kind="danger" onClick={() => end("drop")}>
              Close without saving
            </Button>
            <Button onClick={() => end("stay")}>Cancel</Button>
            <Button type="submit" kind="primary" data-autofocus>
              Save
            </Button>
          </>
        }
      >
        <p>It has changes that are not saved.</p>
      </Dialog>,
    );
  });
}
