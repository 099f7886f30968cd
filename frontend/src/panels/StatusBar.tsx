import type { PersonHere, SavedState, TabStatus } from "../store/status";
import { isHubReachable } from "../store/connection";
import { Icon } from "../ui/Icon";
import { Avatar } from "../pages/TopBar";
import { kernelStateTitle } from "./kernelState";

const SAVED: Readonly<Record<SavedState, { text: string; title: string }>> = {
  saved: { text: "Saved", title: "The hub has every change." },
  "on-disk": { text: "Saved", title: "Every change is in the database." },
  saving: { text: "Saving…", title: "Changes are on their way to the hub." },
  unsaved: { text: "Unsaved", title: "Changes are not saved yet." },
  offline: { text: "Kept here", title: "Changes are kept in this browser until the hub is back." },
  failed: { text: "Not saved", title: "Saving did not work. Your changes are still here." },
};

/** The line at the bottom: what the open tab says about itself. */
export function StatusBar({ status, role }: { status: TabStatus; role: string }) {
  const { kernel, saved, position, people, readOnly } = status;
  return (
    <footer class="status-bar" aria-label="Status">
      {!isHubReachable.value && (
        <span class="status-item status-warn">
          <Icon name="offline" size={13} /> Offline
        </span>
      )}
      {kernel && (
        <span class="status-item" title={kernel.reason ?? ""}>
          <span class={`kernel-dot kernel-dot-${kernel.state}`} aria-hidden="true" />
          <span class="truncate">{kernel.title}</span>
          <span class="muted">{kernelStateTitle(kernel.state)}</span>
        </span>
      )}
      <span class="status-space" />
      {people && people.length > 0 && <PeopleHere people={people} />}
      {position && (
        <span class="status-item status-position">
          Ln {position.line}, Col {position.column}
          {position.selected ? ` (${String(position.selected)} selected)` : ""}
        </span>
      )}
      {(readOnly || role === "viewer") && <span class="status-item">Read only</span>}
      {saved && !readOnly && (
        <span class={`status-item status-saved-${saved}`} title={SAVED[saved].title} role="status">
          {(saved === "saved" || saved === "on-disk") && <Icon name="check" size={13} />}
          {SAVED[saved].text}
        </span>
      )}
    </footer>
  );
}

const MOST_FACES = 5;

function PeopleHere({ people }: { people: readonly PersonHere[] }) {
  const names = people.map((person) => person.name).join(", ");
  return (
    <span class="status-item faces" role="img" aria-label={`Also here: ${names}`} title={`Also here: ${names}`}>
      {people.slice(0, MOST_FACES).map((person) => (
        <Avatar key={person.username} name={person.name} color={person.color} />
      ))}
      {people.length > MOST_FACES && <span class="muted">+{people.length - MOST_FACES}</span>}
    </span>
  );
}
