import { useEffect, useMemo } from "preact/hooks";
import { requestJson } from "../api/client";
import type { Schemas } from "../api/types";
import { formatTime } from "../store/format";
import { Resource } from "../store/resource";

/** When administrators acted in the person's name, and why they said they did. Nothing is drawn when nobody ever did. */
export function ActedAs() {
  const all = useMemo(() => new Resource(() => requestJson<Schemas["ActedAsOut"][]>("me/acted-as")), []);
  useEffect(() => void all.refresh(), []);
  const times = all.data.value ?? [];
  if (times.length === 0) return null;
  return (
    <section class="card account-section" aria-labelledby="acted-title">
      <div>
        <h2 id="acted-title">Administrators who acted in your name</h2>
        <p class="muted">What they did is in the audit log with both names.</p>
      </div>
      <ul class="rows">
        {times.map((time) => (
          <li key={`${time.administrator} ${time.started_at}`} class="row">
            <div class="row-text">
              <strong>{time.administrator}</strong>
              <span class="running-detail">{[formatTime(time.started_at), time.ended_at === null && Date.parse(time.ends_at) > Date.now() ? "going on now" : "", time.reason].filter(Boolean).join(" · ")}</span>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
