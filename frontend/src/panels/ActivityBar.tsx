import { layout, togglePanel, type PanelName } from "../store/layout";
import { Icon, type IconName } from "../ui/Icon";

const PANELS: readonly { panel: PanelName; icon: IconName; label: string }[] = [
  { panel: "files", icon: "files", label: "Files" },
  { panel: "outline", icon: "list", label: "Outline" },
  { panel: "versions", icon: "clock", label: "Versions" },
  { panel: "running", icon: "pulse", label: "Running" },
  { panel: "trash", icon: "trash", label: "Trash" },
];

/** Chooses the side panel; a second click on the same folds it away. */
export function ActivityBar({ runningCount, onSettings }: { runningCount: number; onSettings: () => void }) {
  const { panel: shown } = layout.value;
  return (
    <nav class="activity-bar" aria-label="Panels">
      {PANELS.map(({ panel, icon, label }) => (
        <button key={panel} type="button" class="activity" aria-pressed={panel === shown} aria-label={label} aria-description={panel === "running" ? `${String(runningCount)} in this project` : undefined} title={label} onClick={() => togglePanel(panel)}>
          <Icon name={icon} size={20} />
          {panel === "running" && runningCount > 0 && <span class="badge" data-count={runningCount} aria-hidden="true" />}
        </button>
      ))}
      <span class="activity-space" />
      <button type="button" class="activity" aria-label="Project settings" title="Project settings" onClick={onSettings}>
        <Icon name="settings" size={20} />
      </button>
    </nav>
  );
}
