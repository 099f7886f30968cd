import { useRef, useState } from "preact/hooks";
import { requestJson } from "../../api/client";
import { messageOf } from "../../api/errors";
import { plural } from "../../store/format";
import { Button } from "../../ui/Button";
import { Dialog, Field } from "../../ui/Dialog";
import { showLayer } from "../../ui/layers";
import { linksCsv, orderedRows, OUTCOMES, resultOfRefusal, summaryOf, type InviteResult, type InviteRow } from "./inviteRows";
import { Badge, type BadgeKind } from "./parts";
import { absolute, copy } from "./personActions";

const EXAMPLE = "username,email,display_name,team,role\nann,ann@example.org,Ann Lee,,member\n";
const MOST_SHOWN = 500;
const KINDS: Readonly<Record<InviteRow["outcome"], BadgeKind>> = { invite: "ok", add_to_team: "accent", unchanged: "plain", error: "danger" };

/** Invitations from a list: choose or paste it, look at what would happen, then do it and take the links. */
export function openInviteList(onDone: () => void): void {
  const hide = showLayer(<InviteListDialog onDone={onDone} onClose={() => hide()} />);
}

function InviteListDialog({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
  const [text, setText] = useState("");
  const [days, setDays] = useState("7");
  const [result, setResult] = useState<InviteResult | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const isDone = result !== null && !result.is_dry_run;

  const send = async (isDryRun: boolean) => {
    if (text.trim() === "") {
      setError("Choose a file or paste a list first.");
      return;
    }
    setBusy(true);
    setError(null);
    try {
      setResult(
        await requestJson<InviteResult>("admin/invitations/csv", {
          method: "POST",
          body: text,
          headers: { "Content-Type": "text/csv; charset=utf-8" },
          query: { days: days.trim(), ...(isDryRun && { dry_run: 1 }) },
        }),
      );
      if (!isDryRun) onDone();
    } catch (refusal) {
      const refused = resultOfRefusal(refusal);
      setResult(refused);
      if (refused === null) setError(messageOf(refusal));
    }
    setBusy(false);
  };

  const download = () => {
    const url = URL.createObjectURL(new Blob([linksCsv(result?.rows ?? [], location.origin)], { type: "text/csv" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = "invitations.csv";
    link.click();
    URL.revokeObjectURL(url);
  };

  const canSend = result !== null && !isDone && result.counts.error === 0 && result.counts.invite + result.counts.add_to_team > 0;
  return (
    <Dialog
      title={isDone ? "The invitations" : "Invite from a list"}
      size="large"
      onClose={onClose}
      onSubmit={() => (isDone ? onClose() : send(!canSend))}
      footer={
        isDone ? (
          <>
            <Button icon="download" onClick={download}>
              Download links
            </Button>
            <Button type="submit" kind="primary">
              Done
            </Button>
          </>
        ) : (
          <>
            <Button onClick={onClose}>Cancel</Button>
            {canSend && (
              <Button disabled={isBusy} onClick={() => send(true)}>
                Check again
              </Button>
            )}
            <Button type="submit" kind="primary" busy={isBusy}>
              {canSend ? `Invite ${plural(result.counts.invite + result.counts.add_to_team, "person", "people")}` : "Check the list"}
            </Button>
          </>
        )
      }
    >
      {!isDone && (
        <>
          <Field label="The list" hint="CSV with a first line of names: username is needed; email, display_name, team and role are welcome." error={error}>
            {(attributes) => (
              <textarea
                {...attributes}
                class="input code-area"
                rows={result ? 4 : 8}
                spellcheck={false}
                placeholder={EXAMPLE}
                value={text}
                onInput={(event) => {
                  setText(event.currentTarget.value);
                  setResult(null);
                  setError(null);
                }}
              />
            )}
          </Field>
          <div class="invite-options">
            <Button icon="upload" onClick={() => file.current?.click()}>
              Choose a file
            </Button>
            <input
              ref={file}
              type="file"
              accept=".csv,text/csv,text/plain"
              hidden
              onChange={async (event) => {
                const [chosen] = event.currentTarget.files ?? [];
                if (!chosen) return;
                setText(await chosen.text());
                setResult(null);
                setError(null);
                event.currentTarget.value = "";
              }}
            />
            <label class="inline-label">
              Links work for
              <input class="input" type="text" inputMode="numeric" value={days} onInput={(event) => setDays(event.currentTarget.value)} />
              days
            </label>
          </div>
        </>
      )}
      {result && <Rows result={result} />}
    </Dialog>
  );
}

function Rows({ result }: { result: InviteResult }) {
  const rows = orderedRows(result.rows);
  return (
    <>
      <p role="status">
        {result.is_dry_run ? (result.counts.error > 0 ? "Nothing is done while there are errors: " : "This would happen: ") : "Done: "}
        {summaryOf(result.counts)}.{!result.is_dry_run && " The links are shown only now."}
      </p>
      <div class="invite-rows" tabIndex={0} role="region" aria-label="Lines of the list">
        <table class="data-table">
          <thead>
            <tr>
              <th scope="col" class="cell-end" style={{ width: "3.5rem" }}>
                Line
              </th>
              <th scope="col" style={{ width: "24%" }}>
                Username
              </th>
              <th scope="col" class="cell-hides-small" style={{ width: "18%" }}>
                Team
              </th>
              <th scope="col" style={{ width: "8rem" }}>
                Outcome
              </th>
              <th scope="col" class="cell-hides-small">
                {result.is_dry_run ? "Why" : "Link"}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, MOST_SHOWN).map((row) => (
              <tr key={row.line}>
                <td class="cell-end muted">{row.line}</td>
                <td>
                  <span class="cell-main">{row.username || row.email}</span>
                  <span class="cell-sub cell-wraps">{row.message}</span>
                </td>
                <td class="cell-hides-small">{row.team}</td>
                <td>
                  <Badge kind={KINDS[row.outcome]}>{OUTCOMES[row.outcome]}</Badge>
                </td>
                <td class="cell-hides-small" title={row.message}>
                  {row.url ? (
                    <button type="button" class="link-button" onClick={() => copy(absolute(row.url ?? ""))}>
                      Copy link
                    </button>
                  ) : (
                    row.message
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > MOST_SHOWN && <p class="muted">{plural(rows.length - MOST_SHOWN, "further line")} not shown.</p>}
    </>
  );
}
