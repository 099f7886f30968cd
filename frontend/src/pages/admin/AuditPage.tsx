import { useMemo } from "preact/hooks";
import { apiUrl } from "../../api/client";
import { formatTime } from "../../store/format";
import { Icon } from "../../ui/Icon";
import { DataTable, type Column } from "../../ui/DataTable";
import type { TableFilter } from "../../ui/TableTools";
import { actionTitle, detailLine, sinceOf, targetTitle } from "./auditWords";
import { Actor } from "./EventList";
import { NOTHING, PageHead } from "./parts";
import type { AuditEvent } from "./types";
import { useFetched, useList, useTableState } from "./useList";

const COLUMNS: readonly Column<AuditEvent>[] = [
  { id: "at", title: "When", sort: "down", width: "9.5rem", smallWidth: "6.25rem", render: (event) => <time class="cell-wraps-small" dateTime={event.at}>{formatTime(event.at)}</time> },
  {
    id: "actor",
    title: "Who",
    width: "16%",
    hides: "small",
    render: (event, tabIndex) => <Actor event={event} tabIndex={tabIndex} />,
  },
  {
    id: "action",
    title: "What",
    width: "26%",
    mediumWidth: "34%",
    smallWidth: "auto",
    render: (event) => (
      <>
        <span class="cell-main">
          {actionTitle(event.action)} {targetTitle(event) && <span class="event-target">{targetTitle(event)}</span>}
        </span>
        <span class="cell-sub">
          {event.actor ?? "the hub"} {detailLine(event.details)}
        </span>
      </>
    ),
  },
  { id: "details", title: "Details", hides: "small", render: (event) => <span title={detailLine(event.details)}>{detailLine(event.details) || NOTHING}</span> },
  { id: "team", title: "Team", hides: "medium", width: "8rem", render: (event) => event.team ?? NOTHING },
  { id: "address", title: "From", hides: "medium", width: "9rem", render: (event) => (event.address ? <code>{event.address}</code> : NOTHING) },
];

const SPANS = [
  { value: "hour", title: "Last hour" },
  { value: "day", title: "Last day" },
  { value: "week", title: "Last week" },
  { value: "month", title: "Last 30 days" },
] as const;

/** Who did what, with filters, and all of it as CSV. */
export function AuditPage() {
  const [state, setState] = useTableState(["actor", "action", "span", "target", "team"]);
  const { span, ...filters } = state.filters;
  const since = sinceOf(span ?? "", Date.now());
  const fixed = useMemo(() => (since ? { since } : undefined), [since]);
  const asked = useMemo(() => ({ ...state, filters }), [JSON.stringify(state)]);
  const events = useList<AuditEvent>("admin/audit", asked, { fixed });
  const actions = useFetched<string[]>("admin/audit/actions");
  const csv = apiUrl("admin/audit.csv", { ...filters, ...fixed, search: state.search || undefined });

  const tableFilters: TableFilter[] = [
    { id: "action", label: "Action", any: "Any action", options: (actions.data ?? []).map((name) => ({ value: name, title: actionTitle(name) })) },
    { id: "span", label: "Time", any: "All time", options: SPANS },
  ];
  return (
    <div class="admin-content">
      <PageHead title="Audit log" note={filters["actor"] ? `Only what ${filters["actor"]} did.` : filters["target"] ? `Only what was done to ${filters["target"]}.` : undefined}>
        <a class="button button-plain" href={csv} download="audit.csv">
          <Icon name="download" />
          <span>Download CSV</span>
        </a>
      </PageHead>
      <DataTable
        label="Events"
        nouns={["event", "events"]}
        columns={COLUMNS}
        rows={events.rows}
        total={events.total}
        state={state}
        onState={setState}
        idOf={(event) => String(event.id)}
        nameOf={(event) => actionTitle(event.action)}
        error={events.error}
        onRetry={() => void events.refresh()}
        filters={tableFilters}
        searchHint="Person, action, thing"
        empty={<p>Nothing has happened yet.</p>}
      />
    </div>
  );
}
