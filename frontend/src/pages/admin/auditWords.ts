import type { AuditEvent } from "./types";

/** Words for what the hub calls `quota_changed`; an action that has none here is shown with its own name in words. */
export function actionTitle(action: string): string {
  const words = action.replace(/[._-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function targetTitle(event: AuditEvent): string {
  if (event.target === null) return "";
  return event.target.name ?? event.target.id;
}

/** The details in one line: `level: person, new: 3`. Nothing nested is left out, it is shown as JSON. */
export function detailLine(details: AuditEvent["details"]): string {
  return Object.entries(details)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name.replaceAll("_", " ")}: ${Array.isArray(value) && value.every((each) => typeof each === "string") ? value.join(" ") : typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(", ");
}

/** The details that say something to a reader at a glance: without identifiers and nested parts, which the audit log shows. */
export function shortDetailLine(details: AuditEvent["details"]): string {
  return detailLine(Object.fromEntries(Object.entries(details).filter(([name, value]) => !/(^|_)ids?$/.test(name) && (typeof value !== "object" || Array.isArray(value)))));
}

const SPANS_MS: Readonly<Record<string, number>> = { hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000, month: 30 * 86_400_000 };

/** `since` of the API for a span such as `day`; undefined for all time. To the minute, so that the same list is not asked for under ever new names. */
export function sinceOf(span: string, nowMs: number): string | undefined {
  const length = SPANS_MS[span];
  if (length === undefined) return undefined;
  return new Date(Math.floor((nowMs - length) / 60_000) * 60_000).toISOString();
}
