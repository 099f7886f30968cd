import { useEffect, useState } from "preact/hooks";
import { hubUrl } from "../address";
import { messageOf } from "../api/errors";
import type { Member, Project, Role } from "../api/types";
import { me, shownName } from "../store/me";
import { fetchMembers, projects, removeMember, setMember, takeOverStorage } from "../store/projects";
import { navigate, projectUrl } from "../router";
import { Button, IconButton } from "../ui/Button";
import { confirm, Dialog } from "../ui/Dialog";
import { showLayer } from "../ui/layers";
import { Loading } from "../ui/Progress";
import { toast, toastError } from "../ui/toast";
import { AddPersonLine, RoleSelect, useAdding, type RoleChoice } from "./AddPerson";
import { Avatar } from "./TopBar";

const ROLES: readonly (RoleChoice<Role> & { can: string })[] = [
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
  const [error, setError] = useState<string | null>(null);
  const adding = useAdding<Role>("editor", async (username, role) => {
    await setMember(project.id, username, role);
    await refresh();
  });
  const chosen = ROLES.find((entry) => entry.role === adding.role);
  const isOwner = project.role === "owner";

  const refresh = () =>
    fetchMembers(project.id).then(setMembers, (refusal: unknown) => {
      setError(messageOf(refusal));
      setMembers([]);
    });
  useEffect(() => void refresh(), []);

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
        navigate(hubUrl("/"));
      }
    } catch (refusal) {
      toastError(refusal);
    }
  };

  const takeOver = async () => {
    const isSure = await confirm({
      title: "Take over the storage?",
      text: `What ${project.name} stores counts as your storage from now on, until another owner takes it over.`,
      action: "Take over",
    });
    if (!isSure) return;
    await takeOverStorage(project.id).catch(toastError);
    await refresh();
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
      onSubmit={isOwner ? adding.add : undefined}
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
          <AddPersonLine adding={adding} roles={ROLES} hint={chosen && `${chosen.title}: ${chosen.can}.`} kind="primary" />
        </div>
      )}
      {error && <p class="inline-error">{error}</p>}
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
                  {member.holds_storage && <span class="running-detail">The project counts as {isMe ? "your" : "their"} storage</span>}
                </div>
                {isMe && isOwner && !member.holds_storage && <Button onClick={takeOver}>Take over storage</Button>}
                {isOwner ? (
                  <RoleSelect label={`Role of ${name}`} roles={ROLES} role={member.role} onChange={(chosen) => void change(member, chosen)} />
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
