import type { HubError } from "../../api/errors";
import { adminUrl } from "../../router";
import { Loading } from "../../ui/Progress";
import { actionTitle, shortDetailLine, targetTitle } from "./auditWords";
import { Ago } from "./parts";
import type { AuditEvent } from "./types";

/** The last events in a few lines. */
export function EventList({ events, error }: { events: readonly AuditEvent[] | null; error: HubError | null }) {
  if (events === null) return error ? <p class="inline-error">{error.message}</p> : <Loading />;
  if (events.length === 0) return <p class="muted quiet-note">Nothing has happened yet.</p>;
  return (
    <ul class="event-list">
      {events.map((event) => (
        <li key={event.id}>
          <Actor event={event} />
          <span class="event-what">
            {actionTitle(event.action)} {targetTitle(event) && <strong>{targetTitle(event)}</strong>} <span class="muted">{shortDetailLine(event.details)}</span>
          </span>
          <span class="event-when muted">
            <Ago time={event.at} />
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Who did it, and who acted as them. */
export function Actor({ event, tabIndex }: { event: AuditEvent; tabIndex?: number }) {
  if (event.actor === null) return <span class="muted event-actor">the hub</span>;
  return (
    <span class="event-actor truncate">
      <a href={adminUrl("people", event.actor)} tabIndex={tabIndex}>
        {event.actor}
      </a>
      {event.acting_administrator && <span class="muted"> by {event.acting_administrator}</span>}
    </span>
  );
}
