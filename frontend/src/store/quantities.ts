/** Amounts as people write and read them: "2 GiB", "30 min", "unlimited". Bytes are powers of 1,024, as kernels count memory. */

export type Unit = "bytes" | "seconds" | "cores" | "count" | "gib_hours" | "names";

/** A number, or null for no limit. */
export type Amount = number | null;

export type Parsed = { ok: true; value: Amount } | { ok: false; problem: string };

const KIB = 1024;
const BYTE_UNITS: readonly [name: string, bytes: number][] = [
  ["TiB", KIB ** 4],
  ["GiB", KIB ** 3],
  ["MiB", KIB ** 2],
  ["KiB", KIB],
  ["bytes", 1],
];
const SECOND_UNITS: readonly [name: string, seconds: number][] = [
  ["days", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];

/** What people type → how much it is in the quota's own unit. A bare K, M or G means the unit they see: KiB, MiB, GiB. */
const SPELLINGS: Readonly<Record<"bytes" | "seconds", ReadonlyMap<string, number>>> = {
  bytes: new Map(
    Object.entries({
      b: 1, byte: 1, bytes: 1,
      k: KIB, kib: KIB, kb: 1e3,
      m: KIB ** 2, mib: KIB ** 2, mb: 1e6,
      g: KIB ** 3, gib: KIB ** 3, gb: 1e9,
      t: KIB ** 4, tib: KIB ** 4, tb: 1e12,
    }),
  ),
  seconds: new Map(
    Object.entries({
      s: 1, sec: 1, secs: 1, second: 1, seconds: 1,
      m: 60, min: 60, mins: 60, minute: 60, minutes: 60,
      h: 3600, hr: 3600, hrs: 3600, hour: 3600, hours: 3600,
      d: 86_400, day: 86_400, days: 86_400,
      w: 604_800, week: 604_800, weeks: 604_800,
    }),
  ),
};

const UNLIMITED = new Set(["unlimited", "no limit", "none", "∞"]);
const EXAMPLES: Readonly<Record<Unit, string>> = {
  bytes: "2 GiB, 512 MiB",
  seconds: "30 min, 1 h 30 min, 2 days",
  cores: "2, 0.5",
  count: "5",
  gib_hours: "100",
  names: "python3, r",
};

/** "For example 2 GiB, 512 MiB, or unlimited." */
export function exampleOf(unit: Unit): string {
  return `For example ${EXAMPLES[unit]}, or unlimited.`;
}

/** How much a person's text is; a text that says nothing clear is refused with what would do. */
export function parseAmount(text: string, unit: Unit): Parsed {
  const clean = text.trim().toLowerCase().replace(/\s+/g, " ");
  if (clean === "") return { ok: false, problem: `Say how much. ${exampleOf(unit)}` };
  if (UNLIMITED.has(clean)) return { ok: true, value: null };
  if (clean.startsWith("-") || clean.startsWith("−")) return { ok: false, problem: "It cannot be less than nothing." };
  const value = unit === "bytes" || unit === "seconds" ? parseWithUnits(clean, SPELLINGS[unit]) : parsePlain(clean, unit);
  if (value === "needs unit") return { ok: false, problem: unit === "bytes" ? "Say which unit: MiB or GiB." : "Say which unit: min, h or days." };
  if (value === null) return { ok: false, problem: `That is not clear. ${exampleOf(unit)}` };
  if (!Number.isFinite(value) || value > Number.MAX_SAFE_INTEGER) return { ok: false, problem: "That is more than there can be. Write unlimited for no limit." };
  if (unit === "count" && !Number.isInteger(value)) return { ok: false, problem: "It must be a whole number." };
  return { ok: true, value: unit === "bytes" || unit === "seconds" ? Math.round(value) : value };
}

function parsePlain(clean: string, unit: Unit): number | null {
  const words: Partial<Record<Unit, RegExp>> = { cores: / ?(cores?|cpus?)$/, gib_hours: / ?(gib[- ]?h(ours?)?)$/ };
  const suffix = words[unit];
  return numberOf(suffix ? clean.replace(suffix, "") : clean);
}

function parseWithUnits(clean: string, units: ReadonlyMap<string, number>): number | null | "needs unit" {
  const bare = numberOf(clean);
  if (bare !== null) return bare === 0 ? 0 : "needs unit";
  const part = /\s*([\d.,]+)\s*([a-z]+)\s*/y;
  let total = 0;
  while (part.lastIndex < clean.length) {
    const found = part.exec(clean);
    const amount = found ? numberOf(found[1] ?? "") : null;
    const size = found ? units.get(found[2] ?? "") : undefined;
    if (amount === null || size === undefined) return null;
    total += amount * size;
  }
  return total;
}

/** `1,000` and `1.5`; a comma is accepted only where thousands are parted, so that `1,5` is not taken for fifteen. */
function numberOf(text: string): number | null {
  if (/^\d{1,3}(,\d{3})+(\.\d+)?$/.test(text)) return Number(text.replaceAll(",", ""));
  return /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : null;
}

/** The amount as it is shown and as `parseAmount` reads it again, to the three figures a person reads. */
export function formatQuantity(amount: Amount, unit: Unit): string {
  if (amount === null) return "unlimited";
  switch (unit) {
    case "bytes":
      return formatScaled(amount, BYTE_UNITS);
    case "seconds":
      return formatDuration(amount);
    case "cores":
      return `${formatNumber(amount)} ${amount === 1 ? "core" : "cores"}`;
    case "gib_hours":
      return `${formatNumber(amount)} GiB-hours`;
    case "count":
    case "names":
      return amount.toLocaleString("en-GB");
  }
}

/** The amount for an input: exact, so that saving what was not touched changes nothing. */
export function editableQuantity(amount: Amount, unit: Unit): string {
  if (amount === null) return "unlimited";
  if (unit === "bytes" || unit === "seconds") {
    if (amount === 0) return "0";
    const units = unit === "bytes" ? BYTE_UNITS : SECOND_UNITS;
    const exact = units.find(([, size]) => amount % (size / 4) === 0 && amount / size >= 1) ?? units.at(-1);
    return exact ? `${String(amount / exact[1])} ${exact[0]}` : String(amount);
  }
  return String(amount);
}

function formatScaled(amount: number, units: readonly [string, number][]): string {
  const [name, size] = units.find(([, each]) => amount >= each * 0.9995) ?? ["bytes", 1];
  return `${size === 1 ? String(Math.round(amount)) : formatNumber(amount / size)} ${amount === 1 ? "byte" : name}`;
}

/** At most the two largest parts: `1 h 30 min`, `2 days`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${String(whole)} s`;
  const days = Math.floor(whole / 86_400);
  const hours = Math.floor((whole % 86_400) / 3_600);
  const minutes = Math.floor((whole % 3_600) / 60);
  const rest = whole % 60;
  const parts = [days ? `${String(days)} ${days === 1 ? "day" : "days"}` : "", hours ? `${String(hours)} h` : "", minutes ? `${String(minutes)} min` : "", rest && whole < 600 ? `${String(rest)} s` : ""].filter(Boolean);
  return parts.slice(0, 2).join(" ");
}

function formatNumber(value: number): string {
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return Number(value.toFixed(digits)).toLocaleString("en-GB");
}

/** `1.4 of 8 GiB`: two amounts of bytes in the unit of the larger. */
export function formatPair(used: number, limit: number, unit: Unit): string {
  if (unit !== "bytes") return `${formatQuantity(used, unit).replace(/ .*$/, "")} of ${formatQuantity(limit, unit)}`;
  const [name, size] = BYTE_UNITS.find(([, each]) => limit >= each * 0.9995) ?? ["bytes", 1];
  return `${formatNumber(used / size)} of ${formatNumber(limit / size)} ${name}`;
}
