/** What the notebook says about its kernel's place in the queue, and about its coming end. */

import { formatTimeOfDay, ordinal } from "../store/format";
import type { KernelNotice } from "../store/outputLog";

/** One sentence or two; null when there is nothing to say. */
export function noticeText(notice: KernelNotice | null, nowMs: number = Date.now()): string | null {
  if (notice === null) return null;
  if (notice.queue_position !== null) {
    const all = notice.queue_length ?? notice.queue_position;
    const of = all > 1 ? ` of ${String(all)}` : "";
    return `All places for kernels are taken. Yours is ${ordinal(notice.queue_position)}${of} in the queue and starts by itself; what you run meanwhile waits with it.`;
  }
  if (notice.ends_at === null) return null;
  const stops = `This kernel stops at ${formatTimeOfDay(notice.ends_at, nowMs)}`;
  switch (notice.end_cause) {
    case "life":
      return `${stops} because it has then run for the longest time that is allowed. Save what is in its memory; cells and outputs stay.`;
    case "drain":
      return `${stops} because its host is being taken out of service. You can start it again elsewhere; cells and outputs stay.`;
    default: {
      const since = notice.used_at === null ? "" : ` since ${formatTimeOfDay(notice.used_at, nowMs)}`;
      return `${stops} because nobody has used it${since}. Its variables are lost then; cells and outputs stay.`;
    }
  }
}

/** Whether a person can put the end off. */
export function canKeep(notice: KernelNotice | null): boolean {
  return notice !== null && notice.ends_at !== null && notice.end_cause === "idle";
}
