import type { TeamRole } from "../../api/types";
import { me, shownName } from "../../store/me";
import { IconButton } from "../../ui/Button";
import { confirm } from "../../ui/Dialog";
import { toastError } from "../../ui/toast";
import { AddPersonLine, RoleSelect, useAdding, type RoleChoice } from "../AddPerson";
import { Avatar } from "../TopBar";
import "./teams.css";

export interface MemberOfTeam {
  username: string;
  display_name: string;
  role: TeamRole;
  is_active?: boolean;
}

const ROLES: readonly RoleChoice<TeamRole>[] = [
  { role: "member", title: "Member" },
  { role: "admin", title: "Administrator" },
];

/** Who is in a team; for its administrators also a way to change that. */
export function TeamMembers({
  teamName,
  members,
  canChange,
  onSet,
  onRemove,
  onQuotas,
}: {
  teamName: string;
  members: readonly MemberOfTeam[];
  canChange: boolean;
  onSet: (username: string, role: TeamRole) => Promise<unknown>;
  onRemove: (username: string) => Promise<unknown>;
  onQuotas?: (member: MemberOfTeam) => void;
}) {
  const adding = useAdding<TeamRole>("member", onSet);

  const remove = async (member: MemberOfTeam) => {
    const isMe = member.username === me.data.peek()?.username;
    const isSure = await confirm({
      title: isMe ? `Leave ${teamName}?` : `Take ${shownName(member)} out of ${teamName}?`,
      text: isMe ? "You can make no more projects in it. Projects that were shared with you stay." : "They can make no more projects in it. Projects that were shared with them stay.",
      action: isMe ? "Leave" : "Take out",
      danger: true,
    });
    if (isSure) await onRemove(member.username).catch(toastError);
  };

  return (
    <div class="team-members">
      {canChange && (
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            void adding.add();
          }}
        >
          <AddPersonLine adding={adding} roles={ROLES} />
        </form>
      )}
      <ul class="member-rows" aria-label={`Members of ${teamName}`}>
        {members.map((member) => {
          const isMe = member.username === me.data.value?.username;
          const name = shownName(member);
          return (
            <li key={member.username}>
              <Avatar name={name} />
              <span class="member-text">
                <span class="truncate">
                  {name}
                  {isMe && <span class="muted"> (you)</span>}
                  {member.is_active === false && <span class="muted"> (disabled)</span>}
                </span>
                {name !== member.username && <span class="running-detail truncate">{member.username}</span>}
              </span>
              {canChange ? (
                <RoleSelect label={`Role of ${name}`} roles={ROLES} role={member.role} onChange={(chosen) => void onSet(member.username, chosen).catch(toastError)} />
              ) : (
                <span class="muted">{ROLES.find((entry) => entry.role === member.role)?.title}</span>
              )}
              {onQuotas && <IconButton icon="gauge" label={`Quotas of ${name} in the team`} size={15} onClick={() => onQuotas(member)} />}
              {(canChange || isMe) && <IconButton icon={isMe ? "sign-out" : "close"} label={isMe ? "Leave this team" : `Take ${name} out`} size={14} onClick={() => remove(member)} />}
            </li>
          );
        })}
      </ul>
    </div>
  );
}
