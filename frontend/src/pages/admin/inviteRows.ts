import { HubError } from "../../api/errors";

export interface InviteRow {
  line: number;
  username: string;
  email: string;
  team: string | null;
  role: string;
  outcome: "invite" | "add_to_team" | "unchanged" | "error";
  message: string;
  url: string | null;
}

export interface InviteResult {
  rows: readonly InviteRow[];
  counts: Readonly<Record<InviteRow["outcome"], number>>;
  is_dry_run: boolean;
}

export const OUTCOMES: Readonly<Record<InviteRow["outcome"], string>> = { invite: "New link", add_to_team: "Joins the team", unchanged: "Nothing to do", error: "Error" };

/** The rows of a list that was refused as a whole: the refusal carries them. Null for any other refusal. */
export function resultOfRefusal(refusal: unknown): InviteResult | null {
  if (!(refusal instanceof HubError) || refusal.code !== "invalid_list") return null;
  const { rows, counts } = refusal.details;
  if (!Array.isArray(rows) || typeof counts !== "object" || counts === null) return null;
  return { rows: rows as InviteRow[], counts: counts as InviteResult["counts"], is_dry_run: true };
}

/** Errors first, in the order of the file; then what will be done; then what needs nothing. */
export function orderedRows(rows: readonly InviteRow[]): InviteRow[] {
  const rank = { error: 0, invite: 1, add_to_team: 2, unchanged: 3 };
  return [...rows].sort((one, other) => rank[one.outcome] - rank[other.outcome] || one.line - other.line);
}

/** "3 new links, 2 join a team, 1 error" */
export function summaryOf(counts: InviteResult["counts"]): string {
  const parts = [
    [counts.invite, counts.invite === 1 ? "new link" : "new links"],
    [counts.add_to_team, counts.add_to_team === 1 ? "joins a team" : "join a team"],
    [counts.unchanged, "with nothing to do"],
    [counts.error, counts.error === 1 ? "error" : "errors"],
  ] as const;
  return parts.filter(([count]) => count > 0).map(([count, words]) => `${count.toLocaleString("en-GB")} ${words}`).join(", ") || "nothing";
}

const RISKY = /^[=+\-@\t\r]/;

/** The links as CSV, to be merged into mails. A cell that a spreadsheet would run is defused with an apostrophe. */
export function linksCsv(rows: readonly InviteRow[], origin: string): string {
  const cell = (text: string) => {
    const safe = RISKY.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = rows.filter((row) => row.url !== null).map((row) => [row.username, row.email, row.team ?? "", new URL(row.url ?? "", origin).href].map(cell).join(","));
  return ["username,email,team,link", ...lines].join("\r\n") + "\r\n";
}
