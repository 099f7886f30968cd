import type { ComponentChildren } from "preact";
import type { HubError } from "../../api/errors";
import { adminUrl } from "../../router";
import { formatAgo, formatTime } from "../../store/format";
import { formatPair, formatQuantity, type Unit } from "../../store/quantities";
import { Button } from "../../ui/Button";
import { Icon } from "../../ui/Icon";
import { Meter } from "../../ui/Progress";
import { Message } from "../ErrorPage";
import { Avatar } from "../TopBar";
import type { NamedPerson } from "./types";

/** A page's heading, where it belongs, and its buttons. */
export function PageHead({ title, note, back, children }: { title: ComponentChildren; note?: ComponentChildren; back?: { section: string; title: string }; children?: ComponentChildren }) {
  return (
    <header class="admin-head">
      <div class="admin-head-text">
        {back && (
          <a class="admin-back" href={adminUrl(back.section)}>
            <Icon name="chevron-left" size={13} />
            {back.title}
          </a>
        )}
        <h1>{title}</h1>
        {note && <p class="muted">{note}</p>}
      </div>
      {children && <div class="admin-head-actions">{children}</div>}
    </header>
  );
}

export function Section({ title, note, actions, children, id }: { title: string; note?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; id?: string }) {
  return (
    <section class="admin-section" aria-label={title} id={id}>
      <div class="admin-section-head">
        <div>
          <h2>{title}</h2>
          {note && <p class="muted">{note}</p>}
        </div>
        {actions}
      </div>
      {children}
    </section>
  );
}

/** Instead of a page that could not be fetched at all. */
export function Failed({ error, onRetry }: { error: HubError; onRetry: () => void }) {
  return (
    <div class="message-page">
      <Message icon={error.isOffline ? "offline" : error.status === 404 ? "search" : "warning"} title={error.status === 404 ? "There is nothing here" : "This did not work"} text={error.message} />
      {error.status !== 404 && (
        <Button kind="primary" icon="refresh" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Avatar and name, leading to the person's page. */
export function PersonCell({ person, tabIndex, sub, isOnline }: { person: NamedPerson; tabIndex?: number; sub?: ComponentChildren; isOnline?: boolean }) {
  const name = person.display_name || person.username;
  return (
    <div class="person-cell">
      <span class={isOnline ? "face-online" : "face"}>
        <Avatar name={name} />
      </span>
      <span class="person-cell-text">
        <a class="cell-main" href={adminUrl("people", person.username)} tabIndex={tabIndex} title={person.username}>
          {name}
          {isOnline && <span class="visually-hidden">, online</span>}
        </a>
        {sub && <span class="cell-sub">{sub}</span>}
      </span>
    </div>
  );
}

/** `1.2 of 4 GiB` and its bar; only the amount where there is no limit; a dash where nothing is known. */
export function UseBar({ used, limit, unit, label }: { used: number | null; limit: number | null; unit: Unit; label: string }) {
  if (used === null) {
    return (
      <span class="use-bar muted">
        <span class="use-text">{limit === null ? "–" : `– of ${formatQuantity(limit, unit)}`}</span>
      </span>
    );
  }
  return (
    <span class="use-bar">
      <span class="use-text">{limit === null ? formatQuantity(used, unit) : formatPair(used, limit, unit)}</span>
      {limit !== null && <Meter used={used} limit={limit} label={label} />}
    </span>
  );
}

export function Ago({ time, absent = "never" }: { time: string | null; absent?: string }) {
  if (time === null) return <span class="muted">{absent}</span>;
  return (
    <time dateTime={time} title={formatTime(time)}>
      {formatAgo(time)}
    </time>
  );
}

export type BadgeKind = "plain" | "ok" | "warn" | "danger" | "accent";

export function Badge({ kind = "plain", children }: { kind?: BadgeKind; children: ComponentChildren }) {
  return <span class={`badge-text badge-${kind}`}>{children}</span>;
}

/** A dash where nothing is known or nothing is there. */
export const NOTHING = <span class="muted">–</span>;

export function Facts({ facts }: { facts: readonly [term: string, value: ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
