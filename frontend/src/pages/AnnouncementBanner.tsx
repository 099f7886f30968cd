import type { ComponentChildren } from "preact";
import { closeAnnouncement, shownAnnouncements, type Announcement } from "../store/announcements";
import { IconButton } from "../ui/Button";
import { Icon } from "../ui/Icon";

/** What the administrators tell everybody, at the top of the page. */
export function AnnouncementBanner() {
  const shown = shownAnnouncements();
  return (
    <div role="region" aria-label="Announcements" aria-live="polite" class="announcements">
      {shown.map((announcement) => (
        <AnnouncementLine key={announcement.id} level={announcement.level} text={announcement.text}>
          {announcement.level !== "urgent" && <IconButton icon="close" size={14} label="Close this announcement" onClick={() => closeAnnouncement(announcement)} />}
        </AnnouncementLine>
      ))}
    </div>
  );
}

export function AnnouncementLine({ level, text, children }: { level: Announcement["level"]; text: string; children?: ComponentChildren }) {
  return (
    <div class={`announcement announcement-${level}`}>
      <Icon name={level === "info" ? "megaphone" : level === "warning" ? "warning" : "error"} size={15} />
      <p>
        {level === "urgent" && <strong>Urgent: </strong>}
        {text}
      </p>
      {children}
    </div>
  );
}
