import { useState } from "preact/hooks";
import { request, requestJson } from "../../api/client";
import { HubError, messageOf } from "../../api/errors";
import { announcements } from "../../store/announcements";
import { formatTime } from "../../store/format";
import { Button } from "../../ui/Button";
import { confirm, Dialog, Field } from "../../ui/Dialog";
import { DataTable, type Column } from "../../ui/DataTable";
import { showLayer } from "../../ui/layers";
import type { MenuItem } from "../../ui/Menu";
import { toast, toastError } from "../../ui/toast";
import { AnnouncementLine } from "../AnnouncementBanner";
import { fieldProblems } from "./fieldProblems";
import { Badge, NOTHING, PageHead, type BadgeKind } from "./parts";
import type { AdminAnnouncement, AnnouncementLevel } from "./types";
import { useList, useTableState } from "./useList";

const REFRESH_MS = 30_000;
const MOST_CHARACTERS = 500;

const LEVELS: Readonly<Record<AnnouncementLevel, [title: string, kind: BadgeKind]>> = { info: ["Information", "accent"], warning: ["Warning", "warn"], urgent: ["Urgent", "danger"] };

function stateOf(announcement: AdminAnnouncement): "current" | "future" | "past" {
  if (announcement.is_current) return "current";
  return Date.parse(announcement.starts_at) > Date.now() ? "future" : "past";
}

const COLUMNS: readonly Column<AdminAnnouncement>[] = [
  {
    id: "text",
    title: "Text",
    render: (announcement) => (
      <>
        <span class="cell-main" title={announcement.text}>
          {announcement.text}
        </span>
        <span class="cell-sub">{stateOf(announcement) === "current" ? "Shown now" : formatTime(announcement.starts_at)}</span>
      </>
    ),
  },
  { id: "level", title: "Level", hides: "small", width: "7rem", render: (announcement) => <Badge kind={LEVELS[announcement.level][1]}>{LEVELS[announcement.level][0]}</Badge> },
  {
    id: "state",
    title: "State",
    hides: "small",
    width: "7rem",
    render: (announcement) => ({ current: <Badge kind="ok">Shown now</Badge>, future: <Badge>Later</Badge>, past: <span class="muted">Over</span> })[stateOf(announcement)],
  },
  { id: "starts_at", title: "From", sort: "down", hides: "medium", width: "9.5rem", render: (announcement) => formatTime(announcement.starts_at) },
  { id: "ends_at", title: "To", sort: "down", width: "9.5rem", hides: "small", render: (announcement) => (announcement.ends_at ? formatTime(announcement.ends_at) : <span class="muted">until ended</span>) },
  { id: "by", title: "By", hides: "medium", width: "8rem", render: (announcement) => announcement.created_by ?? NOTHING },
];

/** What everybody is told at the top of every page. */
export function AnnouncementsPage() {
  const [state, setState] = useTableState(["state"]);
  const list = useList<AdminAnnouncement>("admin/announcements", state, { everyMs: REFRESH_MS });
  const changed = () => {
    void list.refresh();
    void announcements.refresh();
  };
  return (
    <div class="admin-content">
      <PageHead title="Announcements" note="Shown at the top of every page to everybody who is signed in.">
        <Button kind="primary" icon="plus" onClick={() => openAnnouncement(null, changed)}>
          New announcement
        </Button>
      </PageHead>
      <DataTable
        label="Announcements"
        nouns={["announcement", "announcements"]}
        columns={COLUMNS}
        rows={list.rows}
        total={list.total}
        state={state}
        onState={setState}
        idOf={(announcement) => String(announcement.id)}
        nameOf={(announcement) => announcement.text.slice(0, 40)}
        onOpen={(announcement) => openAnnouncement(announcement, changed)}
        menuOf={(announcement) => menuOf(announcement, changed)}
        error={list.error}
        onRetry={() => void list.refresh()}
        filters={[
          {
            id: "state",
            label: "State",
            any: "Any time",
            options: [
              { value: "current", title: "Shown now" },
              { value: "future", title: "Later" },
              { value: "past", title: "Over" },
            ],
          },
        ]}
        empty={<p>Nothing is announced. Tell people here of upgrades, new hosts and new data.</p>}
      />
    </div>
  );
}

function menuOf(announcement: AdminAnnouncement, onChanged: () => void): MenuItem[] {
  const send = async (method: "POST" | "DELETE", rest: string, done: string) => {
    await request(`admin/announcements/${String(announcement.id)}${rest}`, { method }).then(() => toast({ kind: "ok", text: done }), toastError);
    onChanged();
  };
  return [
    { label: "Edit…", icon: "rename", run: () => openAnnouncement(announcement, onChanged) },
    ...(stateOf(announcement) === "past" ? [] : [{ label: "End now", icon: "stop" as const, run: () => send("POST", "/end", "The announcement is over.") }]),
    {
      label: "Delete…",
      icon: "trash",
      danger: true,
      run: async () => {
        const isSure = await confirm({ title: "Delete this announcement?", text: announcement.text, action: "Delete", danger: true });
        if (isSure) await send("DELETE", "", "Deleted.");
      },
    },
  ];
}

function openAnnouncement(announcement: AdminAnnouncement | null, onChanged: () => void): void {
  const hide = showLayer(<AnnouncementDialog announcement={announcement} onChanged={onChanged} onClose={() => hide()} />);
}

/** The time as `datetime-local` wants it: the browser's own time zone, to the minute. */
export function localTime(time: string | null): string {
  if (time === null) return "";
  const date = new Date(time);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function AnnouncementDialog({ announcement, onChanged, onClose }: { announcement: AdminAnnouncement | null; onChanged: () => void; onClose: () => void }) {
  const first = { text: announcement?.text ?? "", level: announcement?.level ?? ("info" as const), starts: localTime(announcement?.starts_at ?? null), ends: localTime(announcement?.ends_at ?? null) };
  const [values, setValues] = useState<{ text: string; level: AnnouncementLevel; starts: string; ends: string }>(first);
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({});
  const [isBusy, setBusy] = useState(false);
  const set = (change: Partial<typeof values>) => {
    setValues({ ...values, ...change });
    setProblems({});
  };

  const save = async () => {
    const text = values.text.trim();
    const starts = values.starts ? new Date(values.starts) : null;
    const ends = values.ends ? new Date(values.ends) : null;
    if (text === "") return setProblems({ text: "Write what people should know." });
    if (ends && ends.getTime() <= (starts?.getTime() ?? Date.now())) return setProblems({ ends_at: "It must end after it begins." });
    setBusy(true);
    const json = {
      text,
      level: values.level,
      // What was not touched is not sent: the field knows minutes only.
      ...(starts && values.starts !== first.starts && { starts_at: starts.toISOString() }),
      ...(values.ends !== first.ends && { ends_at: ends ? ends.toISOString() : null }),
      ...(announcement && { version: announcement.version }),
    };
    try {
      await requestJson(announcement ? `admin/announcements/${String(announcement.id)}` : "admin/announcements", { method: announcement ? "PATCH" : "POST", json });
      toast({ kind: "ok", text: announcement ? "Saved." : starts && starts.getTime() > Date.now() ? "It will be shown from then on." : "Everybody sees it now." });
      onClose();
      onChanged();
    } catch (refusal) {
      setProblems(refusal instanceof HubError ? fieldProblems(refusal, ["text", "starts_at", "ends_at"]) : { "": messageOf(refusal) });
      setBusy(false);
    }
  };

  return (
    <Dialog
      title={announcement ? "Edit announcement" : "New announcement"}
      size="medium"
      onClose={onClose}
      onSubmit={save}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={isBusy}>
            {announcement ? "Save" : "Announce"}
          </Button>
        </>
      }
    >
      <Field label="Text" hint={`${String(MOST_CHARACTERS - values.text.length)} characters left. For example: The hub restarts at 18:00 for an upgrade; what runs goes on.`} error={problems["text"] ?? null}>
        {(attributes) => <textarea {...attributes} class="input" maxLength={MOST_CHARACTERS} rows={3} value={values.text} data-autofocus onInput={(event) => set({ text: event.currentTarget.value })} />}
      </Field>
      <fieldset class="choice">
        <legend>Level</legend>
        {(Object.keys(LEVELS) as AnnouncementLevel[]).map((level) => (
          <label key={level} class="choice-option">
            <input type="radio" name="level" value={level} checked={values.level === level} onChange={() => set({ level })} />
            <span>{LEVELS[level][0]}</span>
          </label>
        ))}
      </fieldset>
      <div class="field-row">
        <Field label="From" hint="Empty: now." error={problems["starts_at"] ?? null}>
          {(attributes) => <input {...attributes} class="input" type="datetime-local" value={values.starts} onInput={(event) => set({ starts: event.currentTarget.value })} />}
        </Field>
        <Field label="To" hint="Empty: until you end it." error={problems["ends_at"] ?? null}>
          {(attributes) => <input {...attributes} class="input" type="datetime-local" value={values.ends} onInput={(event) => set({ ends: event.currentTarget.value })} />}
        </Field>
      </div>
      <div class="field">
        <span class="preview-label">How people see it</span>
        <AnnouncementLine level={values.level} text={values.text.trim() || "Your text"} />
      </div>
      {problems[""] && (
        <p class="field-error" role="alert">
          {problems[""]}
        </p>
      )}
    </Dialog>
  );
}
