import { useState } from "preact/hooks";
import { hubUrl } from "../address";
import { messageOf } from "../api/errors";
import type { Project } from "../api/types";
import { navigate } from "../router";
import { changeProject, deleteProject } from "../store/projects";
import { Button } from "../ui/Button";
import { confirm, Dialog, Field } from "../ui/Dialog";
import { showLayer } from "../ui/layers";
import { toast, toastError } from "../ui/toast";

/** Name and rules of a project, and its end. */
export function openProjectSettings(project: Project): void {
  const hide = showLayer(<ProjectSettingsDialog project={project} onClose={() => hide()} />);
}

function ProjectSettingsDialog({ project, onClose }: { project: Project; onClose: () => void }) {
  const [name, setName] = useState(project.name);
  const [allowsHidden, setAllowsHidden] = useState(project.allows_hidden_files);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isOwner = project.role === "owner";

  const save = async () => {
    if (name.trim() === "") {
      setError("Give the project a name.");
      return;
    }
    setBusy(true);
    try {
      await changeProject(project.id, { name: name.trim(), allows_hidden_files: allowsHidden });
      onClose();
      toast({ kind: "ok", text: "Saved." });
    } catch (refusal) {
      setError(messageOf(refusal));
      setBusy(false);
    }
  };

  const remove = async () => {
    const isSure = await confirm({
      title: `Delete ${project.name}?`,
      text: "All its members lose it at once, and what runs in it is stopped. For 30 days an administrator can bring it back.",
      action: "Delete project",
      danger: true,
    });
    if (!isSure) return;
    try {
      await deleteProject(project.id);
      onClose();
      navigate(hubUrl("/"));
      toast({ text: `${project.name} was deleted.` });
    } catch (refusal) {
      toastError(refusal);
    }
  };

  const copyAddress = () =>
    navigator.clipboard.writeText(new URL(project.jupyter_url, location.href).href).then(
      () => toast({ kind: "ok", text: "Address copied." }),
      () => toast({ kind: "error", text: "The browser did not allow to copy." }),
    );

  return (
    <Dialog
      title="Project settings"
      size="medium"
      onClose={onClose}
      onSubmit={isOwner ? save : onClose}
      footer={
        isOwner ? (
          <>
            <Button kind="danger" icon="trash" onClick={remove}>
              Delete project
            </Button>
            <span class="tool-space" />
            <Button onClick={onClose}>Cancel</Button>
            <Button type="submit" kind="primary" busy={isBusy}>
              Save
            </Button>
          </>
        ) : (
          <Button type="submit" kind="primary">
            Close
          </Button>
        )
      }
    >
      <Field label="Name" error={error} hint="The address of the project stays the same.">
        {(attributes) => <input {...attributes} class="input" type="text" maxLength={100} disabled={!isOwner} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
      </Field>
      <label class="check">
        <input type="checkbox" checked={allowsHidden} disabled={!isOwner} onChange={(event) => setAllowsHidden(event.currentTarget.checked)} />
        <span>
          Show hidden files
          <span class="field-hint">Files whose names begin with a dot can be seen and changed here.</span>
        </span>
      </label>
      <Field label="Address for Jupyter clients" hint="For JupyterLab, VS Code and others, with an API token from your account page.">
        {(attributes) => (
          <div class="share-line">
            <input {...attributes} class="input" type="text" readOnly value={new URL(project.jupyter_url, location.href).href} onFocus={(event) => event.currentTarget.select()} />
            <Button icon="copy" onClick={copyAddress}>
              Copy
            </Button>
          </div>
        )}
      </Field>
      {!isOwner && <p class="muted">Only owners can change these.</p>}
    </Dialog>
  );
}
