import { useEffect, useState } from "preact/hooks";
import { request, requestJson } from "../api/client";
import type { DayUse, ProjectUse, Usage } from "../api/types";
import { RunningList } from "../panels/RunningList";
import { projectUrl } from "../router";
import { formatAgo, formatMemory, formatTimeOfDay } from "../store/format";
import { me } from "../store/me";
import { kernels } from "../store/projects";
import { amountText, figuresOf, isNear, limitText, originText, shareText } from "../store/quotas";
import { Resource } from "../store/resource";
import { Button } from "../ui/Button";
import { confirm } from "../ui/Dialog";
import { Loading, Meter } from "../ui/Progress";
import { toast, toastError } from "../ui/toast";
import { TopBar } from "./TopBar";
import "./usage.css";

const projectUses = new Resource<ProjectUse[]>(() => requestJson<ProjectUse[]>("usage/projects"));
const days = new Resource<DayUse[]>(() => requestJson<DayUse[]>("usage/days"));

/** What I use of what I may: how much is left, who set the limit, and what to do. */
export function UsagePage() {
  const [team, setTeam] = useState("");
  const [quotas, setQuotas] = useState<Usage[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    for (const resource of [projectUses, days, kernels]) void resource.refresh();
  }, []);
  const live = kernels.data.value?.length;
  useEffect(() => {
    let isWanted = true;
    requestJson<Usage[]>("usage", team ? { query: { team } } : {}).then(
      (found) => {
        if (!isWanted) return;
        setQuotas(found);
        setProblem(null);
      },
      (error: unknown) => isWanted && setProblem(error instanceof Error ? error.message : "The hub did not answer."),
    );
    return () => {
      isWanted = false;
    };
  }, [team, live]);
  const teams = (me.data.value?.teams ?? []).filter((one) => !one.is_personal);

  return (
    <div class="page">
      <TopBar>
        <span class="top-title">Usage</span>
      </TopBar>
      <main id="main" class="account usage-page">
        <header class="section-head">
          <div>
            <h1>Usage</h1>
            <p class="muted">What you use of what you may. Limits are set by the administrators of this hub and of its teams.</p>
          </div>
          {teams.length > 0 && (
            <label class="usage-team">
              <span>Limits in</span>
              <select class="input" value={team} onChange={(event) => setTeam(event.currentTarget.value)}>
                <option value="">my own projects</option>
                {teams.map((one) => (
                  <option key={one.slug} value={one.slug}>
                    projects of {one.name}
                  </option>
                ))}
              </select>
            </label>
          )}
        </header>
        {problem && <p class="inline-error">{problem}</p>}
        {quotas === null && !problem && <Loading />}
        {quotas !== null && (
          <>
            <UsedUp quotas={quotas} />
            <section class="card account-section" aria-labelledby="usage-running">
              <h2 id="usage-running">Running now</h2>
              <RunningList showsProject />
            </section>
            <Storage />
            <Computing />
            <Limits quotas={quotas} />
          </>
        )}
      </main>
    </div>
  );
}

/** What can be done about each quota when it is nearly used up. */
const ADVICE: Readonly<Record<string, string>> = {
  max_kernels: "Stop a kernel that you do not need: its notebook and outputs stay.",
  total_memory_bytes: "Stop a kernel that you do not need: its memory is free again.",
  person_storage_bytes: "Delete files that you do not need and empty the trash.",
  compute_gib_hours: "It frees itself as days pass. A stopped kernel costs nothing.",
};

function UsedUp({ quotas }: { quotas: readonly Usage[] }) {
  return (
    <section class="card account-section" aria-labelledby="usage-mine">
      <h2 id="usage-mine">In use</h2>
      <dl class="usage">
        {quotas
          .filter((quota) => quota.used !== null)
          .map((quota) => {
            const figures = figuresOf(quota);
            return (
              <div key={quota.quota} class="usage-row">
                <dt>{quota.title}</dt>
                <dd>{figures ? shareText(figures) : `${amountText(quota.quota, quota.used ?? 0)}, no limit`}</dd>
                {figures && (
                  <dd class="usage-meter">
                    <Meter used={figures.used} limit={figures.limit} label={quota.title} />
                  </dd>
                )}
                <dd class="usage-note muted">
                  {quota.help}
                  {figures && ` Limit ${originText(quota.origin)}.`}
                  {figures && isNear(figures) && <strong> {ADVICE[quota.quota]} An administrator can give you more.</strong>}
                </dd>
              </div>
            );
          })}
      </dl>
    </section>
  );
}

function Storage() {
  const uses = projectUses.data.value;
  if (uses === null || uses.length === 0) return null;
  return (
    <section class="card account-section" aria-labelledby="usage-storage">
      <h2 id="usage-storage">Storage by project</h2>
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Project</th>
            <th scope="col" class="table-number">
              Files
            </th>
            <th scope="col" class="table-number">
              Trash
            </th>
            <th scope="col" class="table-number">
              Outputs
            </th>
            <th scope="col" class="table-number">
              Together
            </th>
          </tr>
        </thead>
        <tbody>
          {uses.map((use) => (
            <tr key={use.project.id}>
              <td>
                {use.deleted_at === null ? <a href={projectUrl(use.project)}>{use.project.name}</a> : <DeletedProject use={use} deletedAt={use.deleted_at} />}
                {!use.counts_for_me && <span class="muted"> (counts for its owner)</span>}
              </td>
              <td class="table-number">{formatMemory(use.files_bytes)}</td>
              <td class="table-number">{formatMemory(use.trash_bytes)}</td>
              <td class="table-number">{formatMemory(use.outputs_bytes)}</td>
              <td class="table-number" title={use.measured_at ? `Measured ${formatAgo(use.measured_at)}` : undefined}>
                {formatMemory(use.total_bytes)}
                {use.limit !== null && <span class="muted"> of {formatMemory(use.limit)}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const DELETED_IS_KEPT_MS = 30 * 24 * 3_600_000;

/** What was deleted still takes up room: until when, and a way to be rid of it now. */
function DeletedProject({ use, deletedAt }: { use: ProjectUse; deletedAt: string }) {
  const purge = async () => {
    const isSure = await confirm({
      title: `Delete ${use.project.name} for good?`,
      text: `Its files, notebooks and outputs (${formatMemory(use.total_bytes)}) are gone at once. Nobody can bring them back.`,
      action: "Delete for good",
      danger: true,
    });
    if (!isSure) return;
    try {
      await request(`projects/deleted/${use.project.id}`, { method: "DELETE" });
      toast({ kind: "ok", text: `${use.project.name} is gone. Its storage is free again.` });
    } catch (refusal) {
      toastError(refusal);
    }
    void projectUses.refresh();
  };
  return (
    <span class="usage-deleted">
      <span>
        {use.project.name} <span class="muted">(deleted; counts until {formatTimeOfDay(Date.parse(deletedAt) + DELETED_IS_KEPT_MS).replace(/^.* on /, "")})</span>
      </span>
      <Button kind="quiet" onClick={purge}>
        Delete for good
      </Button>
    </span>
  );
}

function Computing() {
  const all = days.data.value;
  if (all === null || all.length === 0) return null;
  const most = Math.max(...all.map((day) => day.run_seconds), 1);
  return (
    <section class="card account-section" aria-labelledby="usage-days">
      <h2 id="usage-days">Computing of the last 30 days</h2>
      <table class="table usage-days">
        <thead>
          <tr>
            <th scope="col">Day</th>
            <th scope="col">Cells ran for</th>
            <th scope="col" class="table-number">
              GiB-hours
            </th>
          </tr>
        </thead>
        <tbody>
          {[...all].reverse().map((day) => (
            <tr key={day.day}>
              <td>{new Date(`${day.day}T12:00:00Z`).toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short" })}</td>
              <td>
                <span class="usage-bar" style={{ width: `${String(Math.round((day.run_seconds / most) * 60))}%` }} aria-hidden="true" /> {durationText(day.run_seconds)}
              </td>
              <td class="table-number">{day.gib_hours.toLocaleString("en-GB", { maximumFractionDigits: 1 })}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function durationText(seconds: number): string {
  return seconds < 90 ? `${String(Math.round(seconds))} s` : amountText("run_s", seconds);
}

function Limits({ quotas }: { quotas: readonly Usage[] }) {
  return (
    <section class="card account-section" aria-labelledby="usage-limits">
      <h2 id="usage-limits">Limits of each kernel and project</h2>
      <dl class="usage">
        {quotas
          .filter((quota) => quota.used === null)
          .map((quota) => (
            <div key={quota.quota} class="usage-row">
              <dt>{quota.title}</dt>
              <dd>{limitText(quota.quota, quota.limit)}</dd>
              <dd class="usage-note muted">
                {quota.help}
                {quota.limit !== null && ` Limit ${originText(quota.origin)}.`}
              </dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
