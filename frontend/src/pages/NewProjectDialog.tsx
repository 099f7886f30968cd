import { useState } from "preact/hooks";
import { messageOf } from "../api/errors";
import type { Team } from "../api/types";
import { navigate, projectUrl } from "../router";
import { me } from "../store/me";
import { createProject } from "../store/projects";
import { Button } from "../ui/Button";
import { Dialog, Field } from "../ui/Dialog";
import { showLayer } from "../ui/layers";

/** Asks for the name (and team) of a new project, makes it and goes there. */
export function openNewProject(team?: string): void {
  const hide = showLayer(<NewProjectDialog chosenTeam={team} onClose={() => hide()} />);
}

function NewProjectDialog({ chosenTeam, onClose }: { chosenTeam: string | undefined; onClose: () => void }) {
  const teams = me.data.value?.teams ?? [];
  const [name, setName] = useState("");
  const [team, setTeam] = useState(chosenTeam ?? teams.find((candidate) => candidate.is_personal)?.slug ?? teams[0]?.slug);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);

  const create = async () => {
    if (name.trim() === "") {
      setError("Give the project a name.");
      return;
    }
    setBusy(true);
    try {
      const project = await createProject(name.trim(), team);
      onClose();
      navigate(projectUrl(project));
    } catch (refusal) {
      setError(messageOf(refusal));
      setBusy(false);
    }
  };

  return (
    <Dialog
      title="New project"
      onClose={onClose}
      onSubmit={create}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={isBusy}>
            Create project
          </Button>
        </>
      }
    >
      <Field label="Name" error={error} hint="For example: Churn analysis, Quarterly report">
        {(attributes) => (
          <input
            {...attributes}
            class="input"
            type="text"
            maxLength={100}
            autocomplete="off"
            value={name}
            onInput={(event) => {
              setName(event.currentTarget.value);
              setError(null);
            }}
          />
        )}
      </Field>
      {teams.length > 1 && (
        <Field label="Team" hint={hintOf(teams.find((option) => option.slug === team))}>
          {(attributes) => (
            <select {...attributes} class="input" value={team} onChange={(event) => setTeam(event.currentTarget.value)}>
              {teams.map((option) => (
                <option key={option.slug} value={option.slug}>
                  {option.is_personal ? `${option.name} (personal)` : option.name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
    </Dialog>
  );
}

function hintOf(team: Team | undefined): string {
  if (!team || team.is_personal) return "Your own: the project counts as yours alone until you share it.";
  return `${team.name} owns it: its quotas count and its administrators can manage it. Nobody else sees it until you share it.`;
}
