import { useEffect, useState } from "preact/hooks";
import { request } from "../api/client";
import { messageOf } from "../api/errors";
import type { Theme } from "../api/types";
import { changeMe, chooseTheme, me } from "../store/me";
import { Button } from "../ui/Button";
import { Field } from "../ui/Dialog";
import { toast, toastError } from "../ui/toast";
import { ActedAs } from "./ActedAs";
import { LoginSessions } from "./LoginSessions";
import { Tokens } from "./Tokens";
import { TopBar } from "./TopBar";

/** Everything about one's own account. */
export function AccountPage() {
  return (
    <div class="page">
      <TopBar>
        <span class="top-title">Account</span>
      </TopBar>
      <main id="main" class="account">
        <h1>Account</h1>
        <Profile />
        <Password />
        <Tokens />
        <LoginSessions />
        <ActedAs />
      </main>
    </div>
  );
}

const THEMES: readonly { theme: Theme; title: string }[] = [
  { theme: "system", title: "As the system" },
  { theme: "light", title: "Light" },
  { theme: "dark", title: "Dark" },
];

function Profile() {
  const person = me.data.value;
  const [name, setName] = useState(person?.display_name ?? "");
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => setName(person?.display_name ?? ""), [person?.display_name]);
  if (!person) return null;

  const save = async () => {
    setBusy(true);
    try {
      await changeMe({ display_name: name.trim() });
      setError(null);
      toast({ kind: "ok", text: "Saved." });
    } catch (refusal) {
      setError(messageOf(refusal));
    }
    setBusy(false);
  };

  return (
    <section class="card account-section" aria-labelledby="profile-title">
      <h2 id="profile-title">Profile</h2>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <Field label="Username">{(attributes) => <input {...attributes} class="input" type="text" value={person.username} readOnly />}</Field>
        <Field label="Shown name" error={error} hint="What others see. Empty: your username.">
          {(attributes) => <input {...attributes} class="input" type="text" maxLength={100} autocomplete="name" value={name} onInput={(event) => setName(event.currentTarget.value)} />}
        </Field>
        <div class="form-end">
          <Button type="submit" kind="primary" busy={isBusy} disabled={name.trim() === person.display_name}>
            Save
          </Button>
        </div>
      </form>
      <fieldset class="choice">
        <legend>Theme</legend>
        {THEMES.map(({ theme, title }) => (
          <label key={theme} class="choice-option">
            <input type="radio" name="theme" value={theme} checked={person.theme === theme} onChange={() => void chooseTheme(theme).catch(toastError)} />
            <span>{title}</span>
          </label>
        ))}
      </fieldset>
    </section>
  );
}

const NO_PASSWORDS = { current: "", next: "", again: "" };

function Password() {
  const [values, setValues] = useState(NO_PASSWORDS);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const set = (change: Partial<typeof NO_PASSWORDS>) => {
    setValues({ ...values, ...change });
    setError(null);
  };

  const save = async () => {
    if (values.next !== values.again) {
      setError("The two new passwords differ.");
      return;
    }
    setBusy(true);
    try {
      await request("me/password", { method: "POST", json: { current_password: values.current, new_password: values.next } });
      setValues(NO_PASSWORDS);
      toast({ kind: "ok", text: "Password changed. All your other sign-ins have ended." });
    } catch (refusal) {
      setError(messageOf(refusal));
    }
    setBusy(false);
  };

  const field = (label: string, name: keyof typeof NO_PASSWORDS, autocomplete: "current-password" | "new-password") => (
    <Field label={label}>
      {(attributes) => (
        <input {...attributes} class="input" type="password" maxLength={1000} autocomplete={autocomplete} value={values[name]} onInput={(event) => set({ [name]: event.currentTarget.value })} />
      )}
    </Field>
  );

  return (
    <section class="card account-section" aria-labelledby="password-title">
      <h2 id="password-title">Password</h2>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <input type="text" autocomplete="username" value={me.data.value?.username ?? ""} hidden readOnly />
        {field("Current password", "current", "current-password")}
        {field("New password", "next", "new-password")}
        {field("New password again", "again", "new-password")}
        {error && (
          <p class="field-error" role="alert">
            {error}
          </p>
        )}
        <div class="form-end">
          <Button type="submit" kind="primary" busy={isBusy} disabled={values.current === "" || values.next === ""}>
            Change password
          </Button>
        </div>
      </form>
    </section>
  );
}
