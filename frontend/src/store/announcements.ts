import { signal } from "@preact/signals";
import { requestJson } from "../api/client";
import { onHubBack } from "./connection";
import { me } from "./me";
import { Resource } from "./resource";

export interface Announcement {
  id: number | string;
  text: string;
  level: "info" | "warning" | "urgent";
}

const REFRESH_EVERY_MS = 60_000;
const KEY = "hub.announcements-closed";

/** What everybody is told now. */
export const announcements = new Resource<Announcement[]>(() => requestJson<Announcement[]>("announcements"));

/** What this person closed in this browser: id and text, so that a changed text is shown again. */
const closed = signal<ReadonlySet<string>>(new Set(storedKeys()));

function keyOf(announcement: Announcement): string {
  return `${String(announcement.id)} ${announcement.text}`;
}

function storedKeys(): string[] {
  try {
    const saved: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(saved) ? saved.filter((key): key is string => typeof key === "string") : [];
  } catch {
    return [];
  }
}

export function shownAnnouncements(): Announcement[] {
  return (announcements.data.value ?? []).filter((announcement) => announcement.level === "urgent" || !closed.value.has(keyOf(announcement)));
}

/** Takes it away in this browser. An urgent one stays as long as it lasts. */
export function closeAnnouncement(announcement: Announcement): void {
  const known = new Set((announcements.data.peek() ?? []).map(keyOf));
  // What is over is forgotten, so that the list stays short.
  closed.value = new Set([...closed.peek()].filter((key) => known.has(key)).concat(keyOf(announcement)));
  try {
    localStorage.setItem(KEY, JSON.stringify([...closed.value]));
  } catch {
    // Storage is full or forbidden: it is closed for this visit only.
  }
}

/** Keeps them up to date while somebody is signed in and looks. */
export function watchAnnouncements(): void {
  const refresh = () => {
    if (me.data.peek() === null || document.visibilityState !== "visible") return;
    void announcements.refresh();
    void me.refresh(); // whether somebody acts in one's name
  };
  me.data.subscribe((person) => {
    if (person !== null && announcements.data.peek() === null) void announcements.refresh();
  });
  setInterval(refresh, REFRESH_EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
  onHubBack(refresh);
}
