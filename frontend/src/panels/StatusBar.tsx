import type { KernelUse } from "../store/outputLogTypes";
import type { PersonHere, SavedState, TabStatus } from "../store/status";
import { isHubReachable } from "../store/connection";
import { Icon } from "../ui/Icon";
import { Avatar } from "../pages/TopBar";
import { kernelStateTitle } from "./kernelState";
import { cpuText, memoryLevel, memoryText } from "./kernelUse";

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
      {kernel?.use && <KernelUseItems use={kernel.use} />}
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

/** Memory with its limit, and processor time: calm until the memory is nearly used up. */
function KernelUseItems({ use }: { use: KernelUse }) {
  const level = memoryLevel(use);
  const memory = memoryText(use);
  const title = {
    fine: use.memory_limit_bytes === null ? "Memory of the kernel. No limit is set." : "Memory of the kernel, and how much it may use.",
    high: "The kernel has used most of its memory. It is ended when it goes over the limit: free what you do not need.",
    full: "The kernel is at its memory limit and may be ended at any moment: free what you do not need.",
  }[level];
  return (
    <>
      {memory && (
        <span class={`status-item status-figure status-memory-${level}`} title={title} role="img" aria-label={`Memory of the kernel: ${memory}`}>
          {level !== "fine" && <Icon name="warning" size={13} />}
          {memory}
        </span>
      )}
      <span class="status-item status-figure status-cpu" title="Processor time of the kernel over the last seconds." role="img" aria-label={`Processor of the kernel: ${cpuText(use)}`}>
        CPU {cpuText(use)}
      </span>
    </>
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
