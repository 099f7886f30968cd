import { hubUrl } from "../address";
import type { Usage } from "../api/types";
import { amountText, figuresOf, isNear, originText, shareText } from "../store/quotas";
import { Meter } from "../ui/Progress";

/** What I use of what I may, on the dashboard. */
export function UsageCard({ quotas }: { quotas: readonly Usage[] }) {
  const shown = quotas.filter((quota) => quota.used !== null && (quota.limit !== null || quota.used > 0));
  if (shown.length === 0) return null;
  return (
    <section class="card">
      <h2>
        <a href={hubUrl("/usage")}>Usage</a>
      </h2>
      <dl class="usage">
        {shown.map((quota) => {
          const figures = figuresOf(quota);
          return (
            <div key={quota.quota} class="usage-row">
              <dt>{quota.title}</dt>
              <dd title={`Limit ${originText(quota.origin)}`}>{figures ? shareText(figures) : amountText(quota.quota, quota.used ?? 0)}</dd>
              {figures && (
                <dd class="usage-meter">
                  <Meter used={figures.used} limit={figures.limit} label={quota.title} />
                  {isNear(figures) && <a href={hubUrl("/usage")}>{figures.used < figures.limit ? "Nearly used up: what to do" : "Used up: what to do"}</a>}
                </dd>
              )}
            </div>
          );
        })}
      </dl>
    </section>
  );
}
