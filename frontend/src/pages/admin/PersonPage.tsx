import { useState } from "preact/hooks";
import { requestJson } from "../../api/client";
import { HubError, messageOf } from "../../api/errors";
import { adminUrl, projectUrl } from "../../router";
import { formatTime, plural } from "../../store/format";
import { me } from "../../store/me";
import { formatQuantity } from "../../store/quantities";
import { Button } from "../../ui/Button";
import { Dialog, Field } from "../../ui/Dialog";
import { showLayer } from "../../ui/layers";
import { openMenu } from "../../ui/Menu";
import { Loading } from "../../ui/Progress";
import { toast } from "../../ui/toast";
import { browserName } from "../LoginSessions";
import { fieldProblems } from "./fieldProblems";
import { KernelTable } from "./KernelTable";
import { Ago, Badge, Facts, Failed, NOTHING, PageHead, Section } from "./parts";
import { nameOfPerson, openActAs, personMenu } from "./personActions";
import { QuotaEditor } from "./QuotaEditor";
import type { PersonDetail, SignIn } from "./types";
import { useFetched } from "./useList";

const REFRESH_MS = 10_000;
const MOST_SIGN_INS = 10;

/** Everything about one person, and what can be done for them. */
export function PersonPage({ username }: { username: string }) {
  const path = `admin/people/${encodeURIComponent(username)}`;
  const fetched = useFetched<PersonDetail>(path, REFRESH_MS);
  const isHub = me.data.value?.administers === "hub";
  const isMe = username === me.data.value?.username;
  const person = fetched.data;
  const refresh = () => void fetched.refresh();
  if (person === null) return fetched.error ? <Failed error={fetched.error} onRetry={refresh} /> : <Loading />;
  const name = nameOfPerson(person);
  const shared = person.teams.filter((team) => !team.is_personal);

  return (
    <div class="admin-content">
      <PageHead
        back={{ section: "people", title: "People" }}
        title={
          <>
            {name}
            {person.is_administrator && <Badge kind="accent">Administrator</Badge>}
            {person.is_active === false && <Badge kind="danger">Disabled</Badge>}
            {person.is_online && <Badge kind="ok">Online</Badge>}
          </>
        }
      >
        {isHub && (
          <>
            <Button icon="rename" onClick={() => openEdit(person, fetched.set)}>
              Edit
            </Button>
            <Button icon="eye" disabled={isMe || !person.is_active || person.is_administrator === true} onClick={() => openActAs(person)}>
              Act as…
            </Button>
            <Button icon="more" aria-haspopup="menu" onClick={(event) => openMenu(event.currentTarget, personMenu(person, refresh), name)}>
              More
            </Button>
          </>
        )}
      </PageHead>
      <Facts
        facts={[
          ["Username", person.username],
          ["Email", person.email ? <span title={person.email}>{person.email}</span> : NOTHING],
          ["Last seen", <Ago key="seen" time={person.last_seen_at} />],
          ["Here since", <Ago key="since" time={person.created_at} />],
          ["Kernels", person.kernel_count],
          ["Storage", person.storage_bytes === null ? NOTHING : formatQuantity(person.storage_bytes, "bytes")],
          ["Tokens", person.token_count],
          [
            "Teams",
            shared.length === 0
              ? NOTHING
              : shared.map((team, index) => (
                  <span key={team.slug}>
                    {index > 0 && ", "}
                    <a href={adminUrl("teams", team.slug)}>{team.name}</a>
                    {team.role === "admin" && <span class="muted"> (admin)</span>}
                  </span>
                )),
          ],
        ]}
      />
      <Section title="Kernels" actions={person.kernels.length > 0 && <a href={adminUrl("kernels", null, `owner=${encodeURIComponent(username)}`)}>In the list of all</a>}>
        <KernelTable rows={person.kernels} error={null} hidden={["owner"]} onChanged={refresh} />
      </Section>
      {isHub && (
        <Section title="Quotas" note="What is set here counts before what the team and the site say.">
          <QuotaEditor path={`${path}/quotas`} />
        </Section>
      )}
      <div class="admin-columns">
        <Section title={`Projects (${String(person.projects.length)})`}>
          {person.projects.length === 0 ? (
            <p class="muted">They are in no project.</p>
          ) : (
            <ul class="plain-rows">
              {person.projects.map((project) => (
                <li key={project.id}>
                  <a class="truncate" href={projectUrl(project)}>
                    {project.name}
                  </a>
                  <span class="muted">
                    {project.role}, {plural(project.member_count, "member")}
                  </span>
                </li>
              ))}
            </ul>
          )}
        </Section>
        <Section title="Sign-ins">
          <SignIns all={person.sign_ins} />
        </Section>
      </div>
    </div>
  );
}

function SignIns({ all }: { all: readonly SignIn[] }) {
  if (all.length === 0) return <p class="muted">They have not signed in yet.</p>;
  return (
    <ul class="plain-rows">
      {all.slice(0, MOST_SIGN_INS).map((signIn, index) => (
        <li key={`${signIn.at} ${String(index)}`}>
          <span class="truncate" title={signIn.user_agent}>
            {browserName(signIn.user_agent)} <span class="muted">{signIn.address}</span>
          </span>
          <span class="muted" title={formatTime(signIn.at)}>
            {signIn.is_open ? "open, " : ""}
            <Ago time={signIn.is_open ? (signIn.last_seen_at ?? signIn.at) : signIn.at} />
          </span>
        </li>
      ))}
    </ul>
  );
}

function openEdit(person: PersonDetail, onChanged: (person: PersonDetail) => void): void {
  const hide = showLayer(<EditDialog person={person} onChanged={onChanged} onClose={() => hide()} />);
}

function EditDialog({ person, onChanged, onClose }: { person: PersonDetail; onChanged: (person: PersonDetail) => void; onClose: () => void }) {
  const [name, setName] = useState(person.display_name);
  const [email, setEmail] = useState(person.email ?? "");
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({});
  const [isBusy, setBusy] = useState(false);

  const save = async () => {
    setBusy(true);
    try {
      onChanged(
        await requestJson<PersonDetail>(`admin/people/${encodeURIComponent(person.username)}`, {
          method: "PATCH",
          json: { display_name: name.trim(), email: email.trim(), version: person.version },
        }),
      );
      toast({ kind: "ok", text: "Saved." });
      onClose();
    } catch (refusal) {
      setProblems(refusal instanceof HubError ? fieldProblems(refusal, ["display_name", "email"]) : { "": messageOf(refusal) });
      setBusy(false);
    }
  };

  return (
    <Dialog
      title={`Edit ${person.username}`}
      onClose={onClose}
      onSubmit={save}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={isBusy}>
            Save
          </Button>
        </>
      }
    >
      <Field label="Shown name" hint="Empty: the username." error={problems["display_name"] ?? null}>
        {(attributes) => <input {...attributes} class="input" type="text" maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(event.currentTarget.value)} />}
      </Field>
      <Field label="Email" error={problems["email"] ?? null}>
        {(attributes) => <input {...attributes} class="input" type="email" maxLength={254} autocomplete="off" value={email} onInput={(event) => setEmail(event.currentTarget.value)} />}
      </Field>
      {problems[""] && (
        <p class="field-error" role="alert">
          {problems[""]}
        </p>
      )}
    </Dialog>
  );
}
