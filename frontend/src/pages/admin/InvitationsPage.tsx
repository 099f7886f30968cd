import { useState } from "preact/hooks";
import { request, requestJson } from "../../api/client";
import { HubError, messageOf } from "../../api/errors";
import type { TeamRole } from "../../api/types";
import { formatTime } from "../../store/format";
import { me } from "../../store/me";
import { Button } from "../../ui/Button";
import { confirm, Dialog, Field } from "../../ui/Dialog";
import { DataTable, type Column } from "../../ui/DataTable";
import { showLayer } from "../../ui/layers";
import { toast, toastError } from "../../ui/toast";
import { fieldProblems } from "./fieldProblems";
import { openInviteList } from "./InviteListDialog";
import { Badge, NOTHING, PageHead, type BadgeKind } from "./parts";
import { showLink } from "./personActions";
import type { AdminTeam, Invitation } from "./types";
import { useFetched, useList, useTableState, type Listed } from "./useList";

const STATES: Readonly<Record<Invitation["state"], [title: string, kind: BadgeKind]>> = { open: ["Open", "ok"], used: ["Used", "plain"], expired: ["Expired", "plain"], revoked: ["Revoked", "plain"] };

const COLUMNS: readonly Column<Invitation>[] = [
  {
    id: "who",
    title: "For",
    width: "26%",
    smallWidth: "auto",
    render: (invitation) => (
      <>
        <span class="cell-main">{invitation.display_name || invitation.username || invitation.email || "Whoever has the link"}</span>
        <span class="cell-sub">{[invitation.team_name, STATES[invitation.state][0]].filter(Boolean).join(" · ")}</span>
      </>
    ),
  },
  { id: "team", title: "Team", sort: "up", hides: "small", render: (invitation) => (invitation.team_name ? `${invitation.team_name}${invitation.role === "admin" ? " (admin)" : ""}` : <span class="muted">none</span>) },
  { id: "note", title: "Note", hides: "medium", render: (invitation) => invitation.note || NOTHING },
  { id: "uses", title: "Used", width: "5.5rem", hides: "small", align: "end", render: (invitation) => `${String(invitation.use_count)} of ${String(invitation.max_uses)}` },
  { id: "state", title: "State", width: "6rem", hides: "small", render: (invitation) => <Badge kind={STATES[invitation.state][1]}>{STATES[invitation.state][0]}</Badge> },
  { id: "expires_at", title: "Works until", sort: "up", width: "9.5rem", smallWidth: "6.25rem", render: (invitation) => <span class="cell-wraps-small">{formatTime(invitation.expires_at)}</span> },
  { id: "created_by", title: "By", hides: "medium", width: "8rem", render: (invitation) => invitation.created_by ?? NOTHING },
];

/** Links by which people make their account or join a team; one by one or from a list. */
export function InvitationsPage() {
  const isHub = me.data.value?.administers === "hub";
  const [state, setState] = useTableState(["state", "team"]);
  const list = useList<Invitation>("admin/invitations", state);
  const teams = useFetched<Listed<AdminTeam>>("admin/teams?limit=200&personal=0");
  const refresh = () => void list.refresh();

  const revoke = async (invitations: readonly Invitation[]): Promise<boolean> => {
    const isSure = await confirm({ title: invitations.length === 1 ? "Revoke this invitation?" : `Revoke ${String(invitations.length)} invitations?`, text: "The link stops working at once. Who used it already stays.", action: "Revoke", danger: true });
    if (!isSure) return false;
    try {
      for (const invitation of invitations) await request(`admin/invitations/${String(invitation.id)}`, { method: "DELETE" });
      toast({ kind: "ok", text: "Revoked." });
    } catch (refusal) {
      toastError(refusal);
    }
    refresh();
    return true;
  };

  return (
    <div class="admin-content">
      <PageHead title="Invitations" note="The hub sends no mail: you pass the links on.">
        <Button icon="upload" onClick={() => openInviteList(refresh)}>
          From a list…
        </Button>
        <Button kind="primary" icon="plus" onClick={() => openInvite(teams.data?.items ?? [], isHub, state.filters["team"] ?? "", refresh)}>
          New invitation
        </Button>
      </PageHead>
      <DataTable
        label="Invitations"
        nouns={["invitation", "invitations"]}
        columns={COLUMNS}
        rows={list.rows}
        total={list.total}
        state={state}
        onState={setState}
        idOf={(invitation) => String(invitation.id)}
        nameOf={(invitation) => invitation.display_name || invitation.username || invitation.note || "invitation"}
        menuOf={(invitation) => (invitation.state === "open" ? [{ label: "Revoke…", icon: "close", danger: true, run: () => void revoke([invitation]) }] : [{ label: "Nothing to do", disabled: true, run: () => undefined }])}
        bulk={(ids, clear) => (
          <Button
            kind="danger"
            onClick={async () => {
              const open = (list.rows ?? []).filter((invitation) => ids.includes(String(invitation.id)) && invitation.state === "open");
              if (open.length === 0) toast({ text: "None of them is open any more." });
              else if (await revoke(open)) clear();
            }}
          >
            Revoke
          </Button>
        )}
        error={list.error}
        onRetry={refresh}
        filters={[
          { id: "state", label: "State", any: "Any state", options: Object.entries(STATES).map(([value, [title]]) => ({ value, title })) },
          { id: "team", label: "Team", any: "Any team", options: (teams.data?.items ?? []).map((team) => ({ value: team.slug, title: team.name })) },
        ]}
        empty={<p>Nobody is invited at the moment. Make a link for one person, one for a whole course, or links from a list.</p>}
      />
    </div>
  );
}

function openInvite(teams: readonly AdminTeam[], isHub: boolean, team: string, onMade: () => void): void {
  const hide = showLayer(<InviteDialog teams={teams} isHub={isHub} team={team} onMade={onMade} onClose={() => hide()} />);
}

function InviteDialog({ teams, isHub, team, onMade, onClose }: { teams: readonly AdminTeam[]; isHub: boolean; team: string; onMade: () => void; onClose: () => void }) {
  const [values, setValues] = useState({ team: team || (isHub ? "" : (teams[0]?.slug ?? "")), role: "member" as TeamRole, username: "", uses: "1", days: "7", note: "" });
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({});
  const [isBusy, setBusy] = useState(false);
  const set = (change: Partial<typeof values>) => {
    setValues({ ...values, ...change });
    setProblems({});
  };
  const isForOne = values.username.trim() !== "";

  const create = async () => {
    const uses = Number(values.uses);
    const days = Number(values.days);
    const wrong = {
      ...(!isForOne && !(Number.isInteger(uses) && uses >= 1 && uses <= 500) && { max_uses: "From 1 to 500 people." }),
      ...(!(Number.isInteger(days) && days >= 1 && days <= 90) && { days: "From 1 to 90 days." }),
    };
    if (Object.keys(wrong).length > 0) return setProblems(wrong);
    setBusy(true);
    try {
      const made = await requestJson<Invitation>("admin/invitations", {
        method: "POST",
        json: {
          ...(values.team && { team: values.team, role: values.role }),
          ...(isForOne ? { username: values.username.trim() } : { max_uses: uses }),
          days,
          ...(values.note.trim() && { note: values.note.trim() }),
        },
      });
      onClose();
      onMade();
      if (made.url) showLink("The invitation", { url: made.url, expires_at: made.expires_at }, "Pass this link on. The hub does not show it again; make another one if it is lost.");
    } catch (refusal) {
      setProblems(refusal instanceof HubError ? fieldProblems(refusal, ["team", "username", "max_uses", "days", "note"]) : { "": messageOf(refusal) });
      setBusy(false);
    }
  };

  return (
    <Dialog
      title="New invitation"
      size="medium"
      onClose={onClose}
      onSubmit={create}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={isBusy}>
            Make link
          </Button>
        </>
      }
    >
      <div class="field-row">
        <Field label="Team" error={problems["team"] ?? null}>
          {(attributes) => (
            <select {...attributes} class="input" value={values.team} onChange={(event) => set({ team: event.currentTarget.value })}>
              {isHub && <option value="">None, only an account</option>}
              {teams.map((each) => (
                <option key={each.slug} value={each.slug}>
                  {each.name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Role in it">
          {(attributes) => (
            <select {...attributes} class="input" value={values.role} disabled={values.team === ""} onChange={(event) => set({ role: event.currentTarget.value as TeamRole })}>
              <option value="member">Member</option>
              <option value="admin">Administrator</option>
            </select>
          )}
        </Field>
      </div>
      <Field label="Username" hint="Empty: whoever has the link chooses one." error={problems["username"] ?? null}>
        {(attributes) => <input {...attributes} class="input" type="text" autocomplete="off" autocapitalize="none" spellcheck={false} maxLength={150} value={values.username} onInput={(event) => set({ username: event.currentTarget.value })} />}
      </Field>
      <div class="field-row">
        <Field label="How many people may use it" error={problems["max_uses"] ?? null}>
          {(attributes) => <input {...attributes} class="input" type="text" inputMode="numeric" disabled={isForOne} value={isForOne ? "1" : values.uses} onInput={(event) => set({ uses: event.currentTarget.value })} />}
        </Field>
        <Field label="For how many days" error={problems["days"] ?? null}>
          {(attributes) => <input {...attributes} class="input" type="text" inputMode="numeric" value={values.days} onInput={(event) => set({ days: event.currentTarget.value })} />}
        </Field>
      </div>
      <Field label="Note" hint="For you and the other administrators." error={problems["note"] ?? null}>
        {(attributes) => <input {...attributes} class="input" type="text" maxLength={200} autocomplete="off" value={values.note} onInput={(event) => set({ note: event.currentTarget.value })} />}
      </Field>
      {problems[""] && (
        <p class="field-error" role="alert">
          {problems[""]}
        </p>
      )}
    </Dialog>
  );
}
