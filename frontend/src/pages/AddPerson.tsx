import { useState } from "preact/hooks";
import { messageOf } from "../api/errors";
import { Button } from "../ui/Button";
import { Field } from "../ui/Dialog";

export interface RoleChoice<R extends string> {
  role: R;
  title: string;
}

export interface Adding<R extends string> {
  username: string;
  role: R;
  error: string | null;
  isBusy: boolean;
  setUsername: (username: string) => void;
  setRole: (role: R) => void;
  /** Adds the person; what is refused is said beside the field. */
  add: () => Promise<void>;
}

/** The state of a line in which somebody is added to a team or a project. */
export function useAdding<R extends string>(firstRole: R, onAdd: (username: string, role: R) => Promise<unknown>): Adding<R> {
  const [username, setUsername] = useState("");
  const [role, setRole] = useState<R>(firstRole);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const add = async () => {
    if (username.trim() === "") {
      setError("Type the username of the person to add.");
      return;
    }
    setBusy(true);
    try {
      await onAdd(username.trim(), role);
      setUsername("");
      setError(null);
    } catch (refusal) {
      setError(messageOf(refusal));
    }
    setBusy(false);
  };
  const change = (text: string) => {
    setUsername(text);
    setError(null);
  };
  return { username, role, error, isBusy, setUsername: change, setRole, add };
}

/** Username, role and "Add" in a line. It stands in a form that calls `adding.add`. */
export function AddPersonLine<R extends string>({ adding, roles, hint, kind = "plain" }: { adding: Adding<R>; roles: readonly RoleChoice<R>[]; hint?: string; kind?: "plain" | "primary" }) {
  return (
    <Field label="Add a person" error={adding.error} hint={hint}>
      {(attributes) => (
        <div class="share-line">
          <input
            {...attributes}
            class="input"
            type="text"
            placeholder="Username"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            maxLength={150}
            value={adding.username}
            onInput={(event) => adding.setUsername(event.currentTarget.value)}
          />
          <RoleSelect label="Role of the new person" roles={roles} role={adding.role} onChange={adding.setRole} />
          <Button type="submit" kind={kind} busy={adding.isBusy}>
            Add
          </Button>
        </div>
      )}
    </Field>
  );
}

export function RoleSelect<R extends string>({ label, roles, role, onChange }: { label: string; roles: readonly RoleChoice<R>[]; role: R; onChange: (role: R) => void }) {
  return (
    <select class="input role-select" aria-label={label} value={role} onChange={(event) => onChange(event.currentTarget.value as R)}>
      {roles.map((entry) => (
        <option key={entry.role} value={entry.role}>
          {entry.title}
        </option>
      ))}
    </select>
  );
}
