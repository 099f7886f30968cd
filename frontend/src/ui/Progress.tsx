import "./progress.css";

/** A bar; without `value` (0 to 1) it only says that something goes on. */
export function Progress({ value, label }: { value?: number | null; label: string }) {
  const percent = value === undefined || value === null ? null : Math.round(Math.max(0, Math.min(1, value)) * 100);
  return (
    <div class={`progress ${percent === null ? "progress-unknown" : ""}`} role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent ?? undefined}>
      <span style={percent === null ? undefined : { width: `${String(percent)}%` }} />
    </div>
  );
}

/** How much of a quota is used; turns amber above 80 % and red when full. */
export function Meter({ used, limit, label }: { used: number; limit: number; label: string }) {
  const share = limit > 0 ? used / limit : 0;
  const level = share >= 1 ? "full" : share > 0.8 ? "high" : "fine";
  return (
    <div class={`progress meter-${level}`} role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={limit} aria-valuenow={Math.min(used, limit)}>
      <span style={{ width: `${String(Math.min(100, share * 100))}%` }} />
    </div>
  );
}

/** Shown while a page or a panel has nothing yet; appears only after a moment, so that quick answers do not flash. */
export function Loading({ label = "Loading…" }: { label?: string }) {
  return (
    <div class="loading" role="status">
      <span class="spinner" aria-hidden="true" />
      <span>{label}</span>
    </div>
  );
}
