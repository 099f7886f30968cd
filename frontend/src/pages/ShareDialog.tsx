import { useEffect, useState } from "preact/hooks";
import { messageOf } from "../api/errors";
import type { Member, Project, Role } from "../api/types";
import { me, shownName } from "../store/me";
import { fetchMembers, projects, removeMember, setMember } from "../store/projects";
import { navigate, projectUrl } from "../router";
import { Button, IconButton } from "../ui/Button";
import { confirm, Dialog, Field } from "../ui/Dialog";
import { showLayer } from "../ui/layers";
import { Loading } from "../ui/Progress";
import { toast, toastError } from "../ui/toast";
import { Avatar } from "./TopBar";

const ROLES: readonly { role: Role; title: string; can: string }[] = [
  { role: "viewer", title: "Viewer", can: "sees everything, changes nothing" },
  { role: "editor", title: "Editor", can: "edits and runs" },
  { role: "owner", title: "Owner", can: "also shares and deletes" },
];

/** Who is in the project, and for owners a way to change that. */
export function openShare(project: Project): void {
  const hide = showLayer(<ShareDialog project={project} onClose={() => hide()} />);
}

function ShareDialog({ project, onClose }: { project: Project; onClose: () => void }) {
  const [members, setMembers] = useState<readonly Member[] | null>(null);
  const [username, setUsername] = useState("");
  const [role, setRole] = useState<Role>("editor");
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isOwner = project.role === "owner";

  const refresh = () =>
    fetchMembers(project.id).then(setMembers, (refusal: unknown) => {
      setError(messageOf(refusal));
      setMembers([]);
    });
  useEffect(() => void refresh(), []);

  const add = async () => {
    if (username.trim() === "") {
      setError("Type the username of the person to add.");
      return;
    }
    setBusy(true);
    try {
      await setMember(project.id, username.trim(), role);
      setUsername("");
      setError(null);
      await refresh();
    } catch (refusal) {
      setError(messageOf(refusal));
    }
    setBusy(false);
  };

  const change = async (member: Member, chosen: Role) => {
    await setMember(project.id, member.username, chosen).catch(toastError);
    await refresh();
  };

  const remove = async (member: Member) => {
    const isMe = member.username === me.data.peek()?.username;
    const isSure = await confirm({
      title: isMe ? "Leave this project?" : `Remove ${shownName(member)}?`,
      text: isMe ? `You will lose access to ${project.name}.` : `They lose access to ${project.name} at once; what they wrote stays.`,
      action: isMe ? "Leave" : "Remove",
      danger: true,
    });
    if (!isSure) return;
    try {
      await removeMember(project.id, member.username);
      if (!isMe) await refresh();
      else {
        onClose();
        await projects.refresh();
        navigate("/");
      }
    } catch (refusal) {
      toastError(refusal);
    }
  };

  const copyLink = () =>
    navigator.clipboard.writeText(location.origin + projectUrl(project)).then(
      () => toast({ kind: "ok", text: "Link copied. It opens the project for its members." }),
      () => toast({ kind: "error", text: "The browser did not allow to copy. Copy the page's address instead." }),
    );

  return (
    <Dialog
      title={`Share ${project.name}`}
      size="medium"
      onClose={onClose}
      onSubmit={isOwner ? add : undefined}
      footer={
        <>
          <Button icon="copy" onClick={copyLink}>
            Copy link
          </Button>
          <span class="tool-space" />
          <Button kind={isOwner ? "plain" : "primary"} onClick={onClose}>
            Done
          </Button>
        </>
      }
    >
      {isOwner && (
        <div class="share-add">
          <Field label="Add a person" error={error} hint={`${ROLES.find((entry) => entry.role === role)?.title ?? ""}: ${ROLES.find((entry) => entry.role === role)?.can ?? ""}.`}>
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
                  value={username}
                  onInput={(event) => {
                    setUsername(event.currentTarget.value);
                    setError(null);
                  }}
                />
                <RoleSelect label="Role of the new person" role={role} onChange={setRole} />
                <Button type="submit" kind="primary" busy={isBusy}>
                  Add
                </Button>
              </div>
            )}
          </Field>
        </div>
      )}
      {!isOwner && error && <p class="inline-error">{error}</p>}
      {members === null ? (
        <Loading />
      ) : (
        <ul class="members" aria-label="Members">
          {members.map((member) => {
            const isMe = member.username === me.data.value?.username;
            const name = shownName(member);
            return (
              <li key={member.username} class="member">
                <Avatar name={name} />
                <div class="member-text">
                  <span class="truncate">
                    {name}
                    {isMe && <span class="muted"> (you)</span>}
                  </span>
                  {name !== member.username && <span class="running-detail truncate">{member.username}</span>}
                </div>
                {isOwner ? (
                  <RoleSelect label={`Role of ${name}`} role={member.role} onChange={(chosen) => void change(member, chosen)} />
                ) : (
                  <span class="muted">{ROLES.find((entry) => entry.role === member.role)?.title}</span>
                )}
                {(isOwner || isMe) && <IconButton icon={isMe ? "sign-out" : "close"} label={isMe ? "Leave this project" : `Remove ${name}`} size={14} onClick={() => remove(member)} />}
              </li>
            );
          })}
        </ul>
      )}
    </Dialog>
  );
}

function RoleSelect({ label, role, onChange }: { label: string; role: Role; onChange: (role: Role) => void }) {
  return (
    <select class="input role-select" aria-label={label} value={role} onChange={(event) => onChange(event.currentTarget.value as Role)}>
      {ROLES.map((entry) => (
        <option key={entry.role} value={entry.role}>
          {entry.title}
        </option>
      ))}
    </select>
  );
}
