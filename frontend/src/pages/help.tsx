import { commands, type Command } from "../store/commands";
import { keysLabel } from "../store/keymap";
import { Dialog } from "../ui/Dialog";
import { showLayer } from "../ui/layers";

let isOpen = false;

/** Shows every command that has keys, by group. */
export function openHelp(): void {
  if (isOpen) return;
  isOpen = true;
  const hide = showLayer(
    <HelpDialog
      onClose={() => {
        isOpen = false;
        hide();
      }}
    />,
  );
}

/** Commands with keys by group, in the order of registration; one of each id. */
export function groupedByHeading(all: readonly Command[]): Map<string, Command[]> {
  const byId = new Map(all.filter((command) => command.keys?.length).map((command) => [command.id, command]));
  const groups = new Map<string, Command[]>();
  for (const command of byId.values()) {
    const heading = command.group ?? "Other";
    groups.set(heading, [...(groups.get(heading) ?? []), command]);
  }
  return groups;
}

function HelpDialog({ onClose }: { onClose: () => void }) {
  const groups = [...groupedByHeading(commands.value)];
  return (
    <Dialog title="Keyboard shortcuts" size="large" onClose={onClose}>
      <div class="help-columns">
        {groups.map(([heading, entries]) => (
          <section key={heading} class="help-group">
            <h3>{heading}</h3>
            <dl>
              {entries.map((command) => (
                <div key={command.id} class="help-row">
                  <dt>{command.title}</dt>
                  <dd>
                    {command.keys?.map((keys) => (
                      <kbd key={keys}>{keysLabel(keys)}</kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
