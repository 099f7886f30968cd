import { editableQuantity, exampleOf, formatQuantity, parseAmount, type Unit } from "../../store/quantities";

/** A limit as the API has it: a number, names, or null for none. */
export type Limit = number | readonly string[] | null;

/** One quota at one level, as `GET admin/…/quotas` gives it. */
export interface QuotaRow {
  quota: string;
  title: string;
  help: string;
  unit: string;
  kind: string;
  minimum: number | null;
  maximum: number | null;
  level: string;
  /** Null: nothing is set at this level. */
  own: { value: Limit } | null;
  effective: Limit;
  origin: string;
  inherited: { value: Limit; origin: string };
  bound: Limit;
  used: number | null;
  applies_to_running: boolean;
}

const UNITS: Readonly<Record<string, Unit>> = { bytes: "bytes", s: "seconds", cores: "cores", "GiB-hours": "gib_hours", kernelspecs: "names" };

export function unitOf(row: Pick<QuotaRow, "unit" | "kind">): Unit {
  return row.kind === "names" ? "names" : (UNITS[row.unit] ?? "count");
}

/** The limit in words: `2 GiB`, `unlimited`, `python3, r`. */
export function limitWords(row: Pick<QuotaRow, "unit" | "kind">, limit: Limit): string {
  if (isNames(limit)) return limit.length === 0 ? "none" : limit.join(", ");
  if (limit === null) return unitOf(row) === "names" ? "all" : "unlimited";
  return formatQuantity(limit, unitOf(row));
}

const ORIGINS: Readonly<Record<string, string>> = { site: "Site", team: "Team", person: "Person" };

export function originTitle(origin: string): string {
  return ORIGINS[origin] ?? origin;
}

/** What the field shows at first: empty where nothing is set at this level. */
export function fieldText(row: QuotaRow): string {
  if (row.own === null) return "";
  const { value } = row.own;
  if (isNames(value)) return value.length === 0 ? "none" : value.join(", ");
  if (unitOf(row) === "names") return "all";
  return editableQuantity(value, unitOf(row));
}

export function hintOf(row: QuotaRow): string {
  return unitOf(row) === "names" ? "Names of kernelspecs, all, or none." : exampleOf(unitOf(row));
}

export type Change = { kind: "same" } | { kind: "unset" } | { kind: "set"; value: Limit } | { kind: "wrong"; problem: string };

/** What the text in a quota's field asks for. */
export function changeOf(row: QuotaRow, text: string): Change {
  const clean = text.trim();
  if (clean === "") return row.own === null ? { kind: "same" } : { kind: "unset" };
  if (clean === fieldText(row)) return { kind: "same" };
  if (unitOf(row) === "names") return namesChange(row, clean);
  const parsed = parseAmount(clean, unitOf(row));
  if (!parsed.ok) return { kind: "wrong", problem: parsed.problem };
  const { value } = parsed;
  if (value !== null && row.minimum !== null && value < row.minimum) return { kind: "wrong", problem: `At least ${limitWords(row, row.minimum)}.` };
  if (value !== null && row.maximum !== null && value > row.maximum) return { kind: "wrong", problem: `At most ${limitWords(row, row.maximum)}.` };
  if (isOverBound(row, value)) return { kind: "wrong", problem: `The team may have at most ${limitWords(row, row.bound)}.` };
  return row.own !== null && row.own.value === value ? { kind: "same" } : { kind: "set", value };
}

function isOverBound(row: QuotaRow, value: number | null): boolean {
  return typeof row.bound === "number" && (value === null || value > row.bound);
}

const NAME = /^[A-Za-z0-9._-]{1,100}$/;

function namesChange(row: QuotaRow, clean: string): Change {
  const word = clean.toLowerCase();
  if (word === "all" || word === "unlimited") return set(row, null);
  if (word === "none") return set(row, []);
  const names = [...new Set(clean.split(/[\s,;]+/).filter(Boolean))].sort();
  const wrong = names.find((name) => !NAME.test(name));
  if (wrong !== undefined) return { kind: "wrong", problem: `“${wrong}” cannot be the name of a kernelspec.` };
  return set(row, names);
}

function set(row: QuotaRow, value: Limit): Change {
  return row.own !== null && JSON.stringify(row.own.value) === JSON.stringify(value) ? { kind: "same" } : { kind: "set", value };
}

export interface Changes {
  values: Record<string, Limit>;
  unset: string[];
  problems: Record<string, string>;
  count: number;
}

/** All that the texts ask for together: quota's name → text. */
export function changesOf(rows: readonly QuotaRow[], texts: Readonly<Record<string, string>>): Changes {
  const changes: Changes = { values: {}, unset: [], problems: {}, count: 0 };
  for (const row of rows) {
    const text = texts[row.quota];
    if (text === undefined) continue;
    const change = changeOf(row, text);
    if (change.kind === "same") continue;
    changes.count++;
    if (change.kind === "set") changes.values[row.quota] = change.value;
    else if (change.kind === "unset") changes.unset.push(row.quota);
    else changes.problems[row.quota] = change.problem;
  }
  return changes;
}

function isNames(limit: Limit): limit is readonly string[] {
  return Array.isArray(limit);
}
