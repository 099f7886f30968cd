import { useState } from "preact/hooks";
import { messageOf } from "../../api/errors";
import type { TeamRole } from "../../api/types";
import { me, shownName } from "../../store/me";
import { Button, IconButton } from "../../ui/Button";
import { confirm, Field } from "../../ui/Dialog";
import { toastError } from "../../ui/toast";
import { Avatar } from "../TopBar";
import "./teams.css";

export interface MemberOfTeam {
  username: string;
  display_name: string;
  role: TeamRole;
  is_active?: boolean;
}

const ROLES: readonly { role: TeamRole; title: string }[] = [
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
  const [username, setUsername] = useState("");
  const [role, setRole] = useState<TeamRole>("member");
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);

  const add = async () => {
    if (username.trim() === "") {
      setError("Type the username of the person to add.");
      return;
    }
    setBusy(true);
    try {
      await onSet(username.trim(), role);
      setUsername("");
      setError(null);
    } catch (refusal) {
      setError(messageOf(refusal));
    }
    setBusy(false);
  };

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
            void add();
          }}
        >
          <Field label="Add a person" error={error}>
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
                <Button type="submit" busy={isBusy}>
                  Add
                </Button>
              </div>
            )}
          </Field>
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
                <RoleSelect label={`Role of ${name}`} role={member.role} onChange={(chosen) => void onSet(member.username, chosen).catch(toastError)} />
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

function RoleSelect({ label, role, onChange }: { label: string; role: TeamRole; onChange: (role: TeamRole) => void }) {
  return (
    <select class="input team-role" aria-label={label} value={role} onChange={(event) => onChange(event.currentTarget.value as TeamRole)}>
      {ROLES.map((entry) => (
        <option key={entry.role} value={entry.role}>
          {entry.title}
        </option>
      ))}
    </select>
  );
}
