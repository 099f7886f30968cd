import { useEffect, useMemo, useState } from "preact/hooks";
import { request, requestJson } from "../api/client";
import { messageOf } from "../api/errors";
import type { ApiToken, CreatedToken } from "../api/types";
import { formatAgo, formatTime } from "../store/format";
import { me } from "../store/me";
import { Resource } from "../store/resource";
import { Button, IconButton } from "../ui/Button";
import { confirm, Dialog, Field } from "../ui/Dialog";
import { showLayer } from "../ui/layers";
import { Loading } from "../ui/Progress";
import { toast, toastError } from "../ui/toast";

const SCOPES: readonly { scope: string; title: string; isInitial: boolean; forStaff?: boolean }[] = [
  { scope: "read", title: "See projects, files, notebooks, outputs and kernels", isInitial: true },
  { scope: "write", title: "Change files and notebooks", isInitial: true },
  { scope: "run", title: "Run code; start, interrupt and stop kernels", isInitial: true },
  { scope: "manage", title: "Create, change, share and delete projects and teams", isInitial: false },
  { scope: "account", title: "See and change the account: profile, password, tokens, sign-ins", isInitial: false },
  { scope: "admin", title: "Administer the hub", isInitial: false, forStaff: true },
];

const LIFETIMES_DAYS = [7, 30, 90, 365] as const;
const INITIAL_LIFETIME_DAYS = 90;

/** The person's API tokens: for scripts and for other Jupyter clients. */
export function Tokens() {
  const tokens = useMemo(() => new Resource(() => requestJson<ApiToken[]>("me/tokens")), []);
  useEffect(() => void tokens.refresh(), []);
  const all = tokens.data.value;

  const revoke = async (token: ApiToken) => {
    const isSure = await confirm({ title: `Revoke ${token.name}?`, text: "Whatever uses it is refused from now on.", action: "Revoke", danger: true });
    if (!isSure) return;
    await request(`me/tokens/${String(token.id)}`, { method: "DELETE" }).catch(toastError);
    await tokens.refresh();
  };

  const create = () => {
    const hide = showLayer(
      <NewTokenDialog
        onClose={() => {
          hide();
          void tokens.refresh();
        }}
      />,
    );
  };

  return (
    <section class="card account-section" aria-labelledby="tokens-title">
      <header class="section-head">
        <div>
          <h2 id="tokens-title">API tokens</h2>
          <p class="muted">For scripts, and for JupyterLab, VS Code and other clients that open your projects.</p>
        </div>
        <Button icon="plus" onClick={create}>
          New token
        </Button>
      </header>
      {tokens.error.value && all === null && <p class="inline-error">{tokens.error.value.message}</p>}
      {tokens.isFirstLoad.value && <Loading />}
      {all?.length === 0 && <p class="muted">You have no tokens.</p>}
      {all !== null && all.length > 0 && (
        <ul class="rows">
          {all.map((token) => (
            <li key={token.id} class="row">
              <div class="row-text">
                <span>
                  <strong>{token.name}</strong> <code class="muted">{token.prefix}…</code>
                </span>
                <span class="running-detail">
                  {token.scopes.join(", ")} · used {formatAgo(token.last_used_at)} · {expiryLabel(token)}
                </span>
              </div>
              <IconButton icon="trash" label={`Revoke ${token.name}`} size={14} onClick={() => revoke(token)} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function expiryLabel(token: ApiToken): string {
  if (token.expires_at === null) return "does not expire";
  return `${new Date(token.expires_at).getTime() < Date.now() ? "expired" : "expires"} ${formatTime(token.expires_at)}`;
}

function NewTokenDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [days, setDays] = useState<number>(INITIAL_LIFETIME_DAYS);
  const [scopes, setScopes] = useState<ReadonlySet<string>>(new Set(SCOPES.filter((entry) => entry.isInitial).map((entry) => entry.scope)));
  const [created, setCreated] = useState<CreatedToken | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);

  const create = async () => {
    if (name.trim() === "") {
      setError("Give it a name, so that you know later what it is for.");
      return;
    }
    if (scopes.size === 0) {
      setError("Allow it at least one thing.");
      return;
    }
    setBusy(true);
    try {
      setCreated(await requestJson<CreatedToken>("me/tokens", { method: "POST", json: { name: name.trim(), days, scopes: [...scopes] } }));
    } catch (refusal) {
      setError(messageOf(refusal));
    }
    setBusy(false);
  };

  if (created) return <CreatedTokenDialog token={created.token} onClose={onClose} />;
  const toggle = (scope: string, isOn: boolean) => {
    const next = new Set(scopes);
    if (isOn) next.add(scope);
    else next.delete(scope);
    setScopes(next);
    setError(null);
  };
  return (
    <Dialog
      title="New API token"
      size="medium"
      onClose={onClose}
      onSubmit={create}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={isBusy}>
            Create token
          </Button>
        </>
      }
    >
      <Field label="What is it for?" error={error} hint="For example: nightly report, VS Code on my laptop">
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
      <Field label="Valid for">
        {(attributes) => (
          <select {...attributes} class="input" value={String(days)} onChange={(event) => setDays(Number(event.currentTarget.value))}>
            {LIFETIMES_DAYS.map((option) => (
              <option key={option} value={String(option)}>
                {option === 365 ? "1 year" : `${String(option)} days`}
              </option>
            ))}
          </select>
        )}
      </Field>
      <fieldset class="checks">
        <legend>It may</legend>
        {SCOPES.filter((entry) => !entry.forStaff || me.data.value?.is_staff).map((entry) => (
          <label key={entry.scope} class="check">
            <input type="checkbox" checked={scopes.has(entry.scope)} onChange={(event) => toggle(entry.scope, event.currentTarget.checked)} />
            <span>{entry.title}</span>
          </label>
        ))}
      </fieldset>
    </Dialog>
  );
}

function CreatedTokenDialog({ token, onClose }: { token: string; onClose: () => void }) {
  const copy = () =>
    navigator.clipboard.writeText(token).then(
      () => toast({ kind: "ok", text: "Token copied." }),
      () => toast({ kind: "error", text: "The browser did not allow to copy. Select the text and copy it." }),
    );
  return (
    <Dialog
      title="Your new token"
      size="medium"
      onClose={onClose}
      onSubmit={onClose}
      footer={
        <Button type="submit" kind="primary">
          I have it
        </Button>
      }
    >
      <p>Copy it now: it is shown only this once, and the hub keeps only a fingerprint of it.</p>
      <div class="share-line">
        <input class="input token-text" type="text" readOnly aria-label="Token" value={token} onFocus={(event) => event.currentTarget.select()} />
        <Button icon="copy" onClick={copy}>
          Copy
        </Button>
      </div>
      <p class="field-hint">Whoever has it acts as you, within what it may do. Keep it like a password.</p>
    </Dialog>
  );
}
