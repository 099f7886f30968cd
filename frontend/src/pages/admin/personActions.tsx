import { useState } from "preact/hooks";
import { hubUrl } from "../../address";
import { request, requestJson } from "../../api/client";
import { messageOf } from "../../api/errors";
import { adminUrl, navigate } from "../../router";
import { formatTime } from "../../store/format";
import { me } from "../../store/me";
import { Button } from "../../ui/Button";
import { confirm, Dialog, Field } from "../../ui/Dialog";
import { showLayer } from "../../ui/layers";
import type { MenuItem } from "../../ui/Menu";
import { toast, toastError } from "../../ui/toast";
import { TypeToConfirm } from "../../ui/TypeToConfirm";
import type { AdminPerson, OneTimeLink } from "./types";

function pathOf(person: { username: string }, rest = ""): string {
  return `admin/people/${encodeURIComponent(person.username)}${rest}`;
}

export function nameOfPerson(person: { username: string; display_name: string }): string {
  return person.display_name || person.username;
}

/** What an administrator of the hub can do with a person. */
export function personMenu(person: AdminPerson, onChanged: () => void): MenuItem[] {
  const isMe = person.username === me.data.peek()?.username;
  return [
    { label: "Act as…", icon: "eye", disabled: isMe || !person.is_active || person.is_administrator === true, run: () => openActAs(person) },
    { label: "Kernels", icon: "kernel", run: () => navigate(adminUrl("kernels", null, `owner=${encodeURIComponent(person.username)}`)) },
    { label: "What they did", icon: "list", run: () => navigate(adminUrl("audit", null, `actor=${encodeURIComponent(person.username)}`)) },
    "separator",
    { label: "Link to choose a password…", icon: "key", disabled: !person.is_active, run: () => makePasswordLink(person) },
    { label: "Sign out everywhere", icon: "sign-out", run: () => signOutEverywhere(person) },
    { label: person.is_administrator ? "Take administrator rights…" : "Make administrator…", icon: "shield", disabled: isMe, run: () => changeAdministrator(person, onChanged) },
    "separator",
    person.is_active
      ? { label: "Disable…", icon: "pause", danger: true, disabled: isMe, run: () => disable(person, onChanged) }
      : { label: "Enable", icon: "play", run: () => change(person, { is_active: true }, `${nameOfPerson(person)} can sign in again.`, onChanged) },
    { label: "Delete…", icon: "trash", danger: true, disabled: isMe, run: () => openDeletePerson(person, onChanged) },
  ];
}

async function change(person: AdminPerson, json: Record<string, unknown>, done: string, onChanged: () => void): Promise<void> {
  try {
    await request(pathOf(person), { method: "PATCH", json });
    toast({ kind: "ok", text: done });
  } catch (refusal) {
    toastError(refusal);
  }
  onChanged();
}

async function signOutEverywhere(person: AdminPerson): Promise<void> {
  const isSure = await confirm({ title: `Sign ${nameOfPerson(person)} out everywhere?`, text: "All their sign-ins end at once. Tokens and kernels stay.", action: "Sign out" });
  if (!isSure) return;
  await request(pathOf(person, "/sign-out"), { method: "POST" }).then(() => toast({ kind: "ok", text: `${nameOfPerson(person)} is signed out everywhere.` }), toastError);
}

async function changeAdministrator(person: AdminPerson, onChanged: () => void): Promise<void> {
  const becomes = !person.is_administrator;
  const isSure = await confirm({
    title: becomes ? `Make ${nameOfPerson(person)} an administrator?` : `Take administrator rights from ${nameOfPerson(person)}?`,
    text: becomes ? "They will see and change everything in this panel: people, quotas, kernels, and act as others." : "They keep their account and their projects.",
    action: becomes ? "Make administrator" : "Take rights",
    danger: true,
  });
  if (isSure) await change(person, { is_administrator: becomes }, becomes ? `${nameOfPerson(person)} is an administrator now.` : `${nameOfPerson(person)} is no administrator any more.`, onChanged);
}

async function makePasswordLink(person: AdminPerson): Promise<void> {
  try {
    showLink(`A link for ${nameOfPerson(person)}`, await requestJson<OneTimeLink>(pathOf(person, "/password-link"), { method: "POST" }));
  } catch (refusal) {
    toastError(refusal);
  }
}

/** Shows a link that is shown once, with a way to copy it. */
export function showLink(title: string, link: OneTimeLink, note = "Whoever opens it chooses the password of this account. Send it to them in a safe way: the hub does not show it again."): void {
  const hide = showLayer(
    <Dialog
      title={title}
      size="medium"
      onClose={() => hide()}
      footer={
        <Button kind="primary" onClick={() => hide()}>
          Done
        </Button>
      }
    >
      <p>{note}</p>
      <Field label="Link" hint={`Works until ${formatTime(link.expires_at)}.`}>
        {(attributes) => (
          <div class="one-time-link">
            <input {...attributes} class="input" type="text" readOnly value={absolute(link.url)} onFocus={(event) => event.currentTarget.select()} />
            <Button icon="copy" onClick={() => copy(absolute(link.url))}>
              Copy
            </Button>
          </div>
        )}
      </Field>
    </Dialog>,
  );
}

export function absolute(url: string): string {
  return new URL(url, location.origin).href;
}

export async function copy(text: string): Promise<void> {
  await navigator.clipboard.writeText(text).then(
    () => toast({ kind: "ok", text: "Copied." }),
    () => toast({ kind: "error", text: "The browser did not allow to copy. Select the text and copy it yourself." }),
  );
}

function disable(person: AdminPerson, onChanged: () => void): void {
  const hide = showLayer(<DisableDialog person={person} onClose={() => hide()} onChanged={onChanged} />);
}

function DisableDialog({ person, onClose, onChanged }: { person: AdminPerson; onClose: () => void; onChanged: () => void }) {
  const [stopsKernels, setStopsKernels] = useState(person.kernel_count > 0);
  const name = nameOfPerson(person);
  return (
    <Dialog
      title={`Disable ${name}?`}
      onClose={onClose}
      onSubmit={async () => {
        onClose();
        await change(person, { is_active: false, stop_kernels: stopsKernels }, `${name} is disabled.`, onChanged);
      }}
      footer={
        <>
          <Button onClick={onClose} data-autofocus>
            Cancel
          </Button>
          <Button type="submit" kind="danger">
            Disable
          </Button>
        </>
      }
    >
      <p>They are signed out at once, their tokens stop working, and they cannot sign in until you enable them. What they wrote stays.</p>
      {person.kernel_count > 0 && (
        <label class="check">
          <input type="checkbox" checked={stopsKernels} onChange={(event) => setStopsKernels(event.currentTarget.checked)} />
          <span>Also stop what they run now ({person.kernel_count})</span>
        </label>
      )}
    </Dialog>
  );
}

export function openActAs(person: AdminPerson): void {
  const hide = showLayer(<ActAsDialog person={person} onClose={() => hide()} />);
}

function ActAsDialog({ person, onClose }: { person: AdminPerson; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const name = nameOfPerson(person);
  const begin = async () => {
    setBusy(true);
    try {
      await request(pathOf(person, "/act-as"), { method: "POST", json: reason.trim() ? { reason: reason.trim() } : {} });
      // Everything this page knows is the administrator's: start afresh as the other person.
      location.assign(hubUrl("/"));
    } catch (refusal) {
      setError(messageOf(refusal));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Act as ${name}?`}
      onClose={onClose}
      onSubmit={begin}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={isBusy}>
            Act as {name}
          </Button>
        </>
      }
    >
      <p>For at most an hour you see and do what {name} can, to help with what they cannot get right. They see that you did, and the audit log names you both.</p>
      <Field label="Why" hint="They can read it. For example: looking at the import that fails." error={error}>
        {(attributes) => <input {...attributes} class="input" type="text" maxLength={200} autocomplete="off" value={reason} onInput={(event) => setReason(event.currentTarget.value)} />}
      </Field>
    </Dialog>
  );
}

function openDeletePerson(person: AdminPerson, onChanged: () => void): void {
  const hide = showLayer(<DeletePersonDialog person={person} onClose={() => hide()} onChanged={onChanged} />);
}

function DeletePersonDialog({ person, onClose, onChanged }: { person: AdminPerson; onClose: () => void; onChanged: () => void }) {
  const [handsOver, setHandsOver] = useState(false);
  const [to, setTo] = useState("");
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const name = nameOfPerson(person);

  const remove = async () => {
    if (typed.trim() !== person.username) {
      setError(`Type ${person.username} to delete the account.`);
      return;
    }
    setBusy(true);
    try {
      await request(pathOf(person), { method: "DELETE", query: handsOver ? { projects: "hand_over", to: to.trim() } : { projects: "trash" } });
      onClose();
      toast({ kind: "ok", text: `${name} is deleted.` });
      if (location.pathname === adminUrl("people", person.username)) navigate(adminUrl("people"), { replace: true });
      else onChanged();
    } catch (refusal) {
      setError(messageOf(refusal));
      setBusy(false);
    }
  };

  return (
    <Dialog
      title={`Delete ${name}?`}
      size="medium"
      onClose={onClose}
      onSubmit={remove}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="danger" busy={isBusy}>
            Delete account
          </Button>
        </>
      }
    >
      <p>The account, its sign-ins and tokens are gone at once, and what they run ends. To keep somebody out for a while, disable them instead.</p>
      <fieldset class="checks">
        <legend>Their projects</legend>
        <label class="check">
          <input type="radio" name="projects" checked={!handsOver} onChange={() => setHandsOver(false)} />
          <span>Go to the trash for 30 days, where nobody else owns them; those of a shared team go to its administrators</span>
        </label>
        <label class="check">
          <input type="radio" name="projects" checked={handsOver} onChange={() => setHandsOver(true)} />
          <span>All go to one person</span>
        </label>
      </fieldset>
      {handsOver && (
        <Field label="Who gets them" hint="A username.">
          {(attributes) => <input {...attributes} class="input" type="text" autocomplete="off" autocapitalize="none" spellcheck={false} value={to} onInput={(event) => setTo(event.currentTarget.value)} />}
        </Field>
      )}
      <TypeToConfirm
        word={person.username}
        typed={typed}
        error={error}
        onTyped={(text) => {
          setTyped(text);
          setError(null);
        }}
      />
    </Dialog>
  );
}
