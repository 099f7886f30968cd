import { useState } from "preact/hooks";
import { requestJson } from "../../api/client";
import { HubError, messageOf } from "../../api/errors";
import { Button } from "../../ui/Button";
import { Dialog, Field } from "../../ui/Dialog";
import { showLayer } from "../../ui/layers";
import { toast } from "../../ui/toast";
import { fieldProblems } from "./fieldProblems";
import { nameOfPerson, showLink } from "./personActions";
import type { AdminTeam, OneTimeLink, PersonDetail } from "./types";

/** Asks who it is and makes the account; the link to choose a password is shown once. */
export function openNewPerson(teams: readonly AdminTeam[], onMade: () => void): void {
  const hide = showLayer(<NewPersonDialog teams={teams} onMade={onMade} onClose={() => hide()} />);
}

function NewPersonDialog({ teams, onMade, onClose }: { teams: readonly AdminTeam[]; onMade: () => void; onClose: () => void }) {
  const [values, setValues] = useState({ username: "", display_name: "", email: "", team: "", is_administrator: false });
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({});
  const [isBusy, setBusy] = useState(false);
  const set = (change: Partial<typeof values>) => {
    setValues({ ...values, ...change });
    setProblems({});
  };

  const create = async () => {
    if (values.username.trim() === "") {
      setProblems({ username: "Say the name they sign in with." });
      return;
    }
    setBusy(true);
    try {
      const made = await requestJson<{ person: PersonDetail; link: OneTimeLink | null }>("admin/people", {
        method: "POST",
        json: {
          username: values.username.trim(),
          ...(values.display_name.trim() && { display_name: values.display_name.trim() }),
          ...(values.email.trim() && { email: values.email.trim() }),
          is_administrator: values.is_administrator,
          teams: values.team ? [{ slug: values.team, role: "member" }] : [],
        },
      });
      onClose();
      onMade();
      if (made.link) showLink(`${nameOfPerson(made.person)} is here`, made.link);
      else toast({ kind: "ok", text: `${nameOfPerson(made.person)} is here.` });
    } catch (refusal) {
      setProblems(refusal instanceof HubError ? fieldProblems(refusal, ["username", "display_name", "email"]) : { "": messageOf(refusal) });
      setBusy(false);
    }
  };

  const text = (name: "username" | "display_name" | "email", label: string, hint?: string) => (
    <Field label={label} hint={hint} error={problems[name] ?? null}>
      {(attributes) => (
        <input
          {...attributes}
          class="input"
          type="text"
          inputMode={name === "email" ? "email" : "text"}
          autocomplete="off"
          autocapitalize={name === "display_name" ? "words" : "none"}
          spellcheck={false}
          maxLength={150}
          value={values[name]}
          onInput={(event) => set({ [name]: event.currentTarget.value })}
        />
      )}
    </Field>
  );

  return (
    <Dialog
      title="New person"
      onClose={onClose}
      onSubmit={create}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={isBusy}>
            Create account
          </Button>
        </>
      }
    >
      {text("username", "Username", "They sign in with it. It cannot be changed later.")}
      {text("display_name", "Shown name")}
      {text("email", "Email")}
      {teams.length > 0 && (
        <Field label="Team">
          {(attributes) => (
            <select {...attributes} class="input" value={values.team} onChange={(event) => set({ team: event.currentTarget.value })}>
              <option value="">None yet</option>
              {teams.map((team) => (
                <option key={team.slug} value={team.slug}>
                  {team.name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <label class="check">
        <input type="checkbox" checked={values.is_administrator} onChange={(event) => set({ is_administrator: event.currentTarget.checked })} />
        <span>Administrator of the whole hub</span>
      </label>
      {problems[""] && (
        <p class="field-error" role="alert">
          {problems[""]}
        </p>
      )}
    </Dialog>
  );
}
