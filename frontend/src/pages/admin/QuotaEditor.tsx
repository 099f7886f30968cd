import { useState } from "preact/hooks";
import { requestJson } from "../../api/client";
import { HubError, messageOf } from "../../api/errors";
import { plural } from "../../store/format";
import { formatPair, formatQuantity } from "../../store/quantities";
import { Button, IconButton } from "../../ui/Button";
import { Loading, Meter } from "../../ui/Progress";
import { toast, toastError } from "../../ui/toast";
import { fieldProblems } from "./fieldProblems";
import { Badge, Failed } from "./parts";
import { changesOf, fieldText, hintOf, limitWords, originTitle, unitOf, type QuotaRow } from "./quotaRows";
import { useFetched } from "./useList";

/** All quotas of one level, to be read and changed: what is set here, what counts, and where that comes from. */
export function QuotaEditor({ path, isNested = false }: { path: string; /** It stands in a form already, as dialogs are. */ isNested?: boolean }) {
  const fetched = useFetched<QuotaRow[]>(path);
  const [texts, setTexts] = useState<Readonly<Record<string, string>>>({});
  const [refused, setRefused] = useState<Readonly<Record<string, string>>>({});
  const [isBusy, setBusy] = useState(false);
  const rows = fetched.data;
  if (rows === null) return fetched.error ? <Failed error={fetched.error} onRetry={() => void fetched.refresh()} /> : <Loading />;

  const changes = changesOf(rows, texts);
  const isSite = rows[0]?.level === "site";
  const hasUse = rows.some((row) => row.used !== null);
  const discard = () => {
    setTexts({});
    setRefused({});
  };

  const save = async () => {
    const [wrong] = Object.keys(changes.problems);
    if (wrong !== undefined) {
      setRefused(changes.problems);
      document.getElementById(`quota-${wrong}`)?.focus();
      return;
    }
    setBusy(true);
    try {
      fetched.set(await requestJson<QuotaRow[]>(path, { method: "PUT", json: { values: changes.values, unset: changes.unset } }));
      const running = rows.some((row) => row.applies_to_running && (row.quota in changes.values || changes.unset.includes(row.quota)));
      toast({ kind: "ok", text: `${plural(changes.count, "quota")} changed. ${running ? "Running kernels get the new limits where they can." : "What starts from now on follows."}` });
      discard();
    } catch (refusal) {
      if (!(refusal instanceof HubError)) throw refusal;
      const problems = fieldProblems(refusal, rows.map((row) => row.quota));
      setRefused(problems);
      if (problems[""]) toastError(new HubError(refusal.status, refusal.code, messageOf(refusal)));
    }
    setBusy(false);
  };

  const content = (
    <>
      <div class="quota-rows" role="table" aria-label="Quotas">
        <div class="quota-row quota-head" role="row">
          <span role="columnheader">Quota</span>
          <span role="columnheader">{isSite ? "Site default" : "Set here"}</span>
          <span role="columnheader">In effect</span>
          {hasUse && <span role="columnheader">In use</span>}
        </div>
        {rows.map((row) => (
          <Row
            key={row.quota}
            row={row}
            text={texts[row.quota] ?? fieldText(row)}
            problem={refused[row.quota] ?? null}
            hasUse={hasUse}
            isChanged={row.quota in changes.values || changes.unset.includes(row.quota) || row.quota in changes.problems}
            onText={(text) => {
              setTexts({ ...texts, [row.quota]: text });
              if (refused[row.quota]) setRefused(Object.fromEntries(Object.entries(refused).filter(([name]) => name !== row.quota)));
            }}
            onLeave={() => {
              const problem = changes.problems[row.quota];
              if (problem) setRefused({ ...refused, [row.quota]: problem });
            }}
          />
        ))}
      </div>
      <div class={`quota-save ${changes.count > 0 ? "quota-save-open" : ""}`}>
        <span class="muted" role="status">
          {changes.count === 0 ? "Empty fields take what the level above gives." : `${plural(changes.count, "change")} not saved yet`}
        </span>
        <Button disabled={changes.count === 0} onClick={discard}>
          Discard
        </Button>
        <Button type={isNested ? "button" : "submit"} kind="primary" busy={isBusy} disabled={changes.count === 0} onClick={isNested ? save : undefined}>
          Save quotas
        </Button>
      </div>
    </>
  );
  if (isNested) return <div class="quotas">{content}</div>;
  return (
    <form
      class="quotas"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (changes.count > 0) void save();
      }}
    >
      {content}
    </form>
  );
}

function Row({
  row,
  text,
  problem,
  hasUse,
  isChanged,
  onText,
  onLeave,
}: {
  row: QuotaRow;
  text: string;
  problem: string | null;
  hasUse: boolean;
  isChanged: boolean;
  onText: (text: string) => void;
  onLeave: () => void;
}) {
  const id = `quota-${row.quota}`;
  const inherited = limitWords(row, row.inherited.value);
  return (
    <div class={`quota-row ${isChanged ? "quota-changed" : ""}`} role="row">
      <span class="quota-what" role="rowheader">
        <label for={id}>{row.title}</label>
        <span class="muted">{row.help}</span>
      </span>
      <span class="quota-field" role="cell">
        <span class="quota-input">
          <input
            id={id}
            class="input"
            type="text"
            autocomplete="off"
            spellcheck={false}
            maxLength={2000}
            placeholder={inherited}
            title={hintOf(row)}
            aria-describedby={`${id}-note`}
            aria-invalid={problem !== null}
            value={text}
            onInput={(event) => onText(event.currentTarget.value)}
            onBlur={onLeave}
          />
          {text !== "" && <IconButton icon="close" size={13} label={`Clear ${row.title}: ${inherited} again`} onClick={() => onText("")} />}
        </span>
        {problem ? (
          <span id={`${id}-note`} class="field-error" role="alert">
            {problem}
          </span>
        ) : (
          <span id={`${id}-note`} class="visually-hidden">
            {hintOf(row)} Empty: {inherited}.
          </span>
        )}
      </span>
      <span class="quota-effective" role="cell">
        <strong>{limitWords(row, row.effective)}</strong> <Badge kind={row.origin === "site" ? "plain" : "accent"}>{originTitle(row.origin)}</Badge>
      </span>
      {hasUse && (
        <span class="quota-used" role="cell">
          <Used row={row} />
        </span>
      )}
    </div>
  );
}

function Used({ row }: { row: QuotaRow }) {
  if (row.used === null) return null;
  const unit = unitOf(row);
  if (typeof row.effective !== "number") return <span class="use-text">{formatQuantity(row.used, unit)}</span>;
  return (
    <span class="use-bar">
      <span class="use-text">{formatPair(row.used, row.effective, unit)}</span>
      <Meter used={row.used} limit={row.effective} label={row.title} />
    </span>
  );
}
