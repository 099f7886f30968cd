import type { ComponentChildren } from "preact";
import { hubUrl } from "../address";
import type { Theme } from "../api/types";
import { keysLabel } from "../store/keymap";
import { chooseTheme, me, shownName, signOut } from "../store/me";
import { adminUrl, navigate } from "../router";
import { IconButton } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { openMenu } from "../ui/Menu";
import { fileEntries, openPalette } from "../ui/Palette";
import { toastError } from "../ui/toast";
import { openHelp } from "./help";

/** The bar at the top of every page: where one is, search, and the person's menu. */
export function TopBar({ children, actions }: { children?: ComponentChildren; actions?: ComponentChildren }) {
  const hasFiles = fileEntries.value !== null;
  const search = hasFiles ? "Search files and commands" : "Search commands";
  const searchKeys = keysLabel(hasFiles ? "Mod-P" : "Mod-K");
  return (
    <header class="top-bar">
      <div class="top-where">
        <a class="brand" href={hubUrl("/")} title="My projects" aria-label="Zasper Hub: my projects">
          <Mark />
          {children === undefined && <span>Zasper Hub</span>}
        </a>
        {children}
      </div>
      <button type="button" class="top-search" onClick={() => openPalette(hasFiles ? "files" : "commands")}>
        <Icon name="search" size={14} />
        <span>{search}</span>
        <kbd>{searchKeys}</kbd>
      </button>
      <div class="top-actions">
        {actions}
        <IconButton icon="help" label="Keyboard shortcuts" keys="F1" class="top-help" onClick={openHelp} />
        <PersonButton />
      </div>
    </header>
  );
}

/** The hub's mark: a cell and its output. */
export function Mark() {
  return (
    <svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true">
      <rect x="1" y="1" width="20" height="20" rx="5.5" fill="var(--accent)" />
      <path d="M6 6.5h10L6.5 15.5H16" fill="none" stroke="var(--accent-fg)" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

const THEMES: readonly { theme: Theme; label: string }[] = [
  { theme: "system", label: "Theme: as the system" },
  { theme: "light", label: "Theme: light" },
  { theme: "dark", label: "Theme: dark" },
];

function PersonButton() {
  const person = me.data.value;
  if (!person) return null;
  const name = shownName(person);
  return (
    <button
      type="button"
      class="avatar-button"
      aria-label={`Account of ${name}`}
      aria-haspopup="menu"
      title={name}
      onClick={(event) =>
        openMenu(
          event.currentTarget,
          [
            { label: `Account (${person.username})`, icon: "user", run: () => navigate(hubUrl("/account")) },
            { label: "Usage", icon: "gauge", run: () => navigate(hubUrl("/usage")) },
            { label: "Teams", icon: "people", run: () => navigate(hubUrl("/teams")) },
            ...(person.administers ? [{ label: "Admin panel", icon: "settings" as const, run: () => navigate(adminUrl("overview")) }] : []),
            "separator",
            ...THEMES.map(({ theme, label }) => ({ label, checked: person.theme === theme, run: () => chooseTheme(theme).catch(toastError) })),
            "separator",
            { label: "Sign out", icon: "sign-out", run: signOut },
          ],
          "Account",
        )
      }
    >
      <Avatar name={name} />
    </button>
  );
}

/** Initials on a ground whose hue belongs to the name. They are no text of the page: the name stands beside or in a label. */
export function Avatar({ name, color }: { name: string; color?: string }) {
  return <span class="avatar" style={{ background: color ?? `oklch(0.47 0.12 ${String(hueOf(name))})` }} data-initials={initialsOf(name)} aria-hidden="true" />;
}

export function initialsOf(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...(word ?? "?")][0] ?? "").join("").toUpperCase();
}

function hueOf(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return hash;
}
