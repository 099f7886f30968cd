const UNITS = ["bytes", "KB", "MB", "GB", "TB"] as const;

/** `1.4 MB`; powers of 1,000, as file managers show them. */
export function formatBytes(size: number): string {
  let value = size;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const text = unit === 0 || value >= 99.5 ? String(Math.round(value)) : value.toFixed(value >= 9.95 ? 0 : 1);
  return `${text} ${size === 1 ? "byte" : (UNITS[unit] ?? "TB")}`;
}

const GIB = 1024 ** 3;

/** `512 MiB`, `1.5 GiB`: what has a limit, by powers of 1,024 as limits are given. */
export function formatMemory(size: number): string {
  if (size > 0 && size < 1024 ** 2) return `${String(Math.ceil(size / 1024))} KiB`;
  if (size < GIB) return `${String(Math.round(size / 1024 ** 2))} MiB`;
  const value = size / GIB;
  return `${value >= 99.5 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1)} GiB`;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `just now`, `5 min ago`, `3 h ago`, `yesterday`, then the date. */
export function formatAgo(time: string | null, nowMs: number = Date.now()): string {
  if (time === null) return "never";
  const then = new Date(time);
  const ageMs = nowMs - then.getTime();
  if (Number.isNaN(ageMs)) return "";
  if (ageMs < MINUTE_MS) return "just now";
  if (ageMs < HOUR_MS) return `${String(Math.floor(ageMs / MINUTE_MS))} min ago`;
  if (ageMs < DAY_MS) return `${String(Math.floor(ageMs / HOUR_MS))} h ago`;
  if (ageMs < 2 * DAY_MS) return "yesterday";
  if (ageMs < 7 * DAY_MS) return `${String(Math.floor(ageMs / DAY_MS))} days ago`;
  const sameYear = then.getFullYear() === new Date(nowMs).getFullYear();
  return then.toLocaleDateString("en-GB", sameYear ? { day: "numeric", month: "short" } : { day: "numeric", month: "short", year: "numeric" });
}

/** The whole time, for a tooltip. */
export function formatTime(time: string | null): string {
  if (time === null) return "";
  return new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-GB")} ${count === 1 ? one : many}`;
}

/** `1st`, `2nd`, `3rd`, `11th`. */
export function ordinal(number: number): string {
  const tens = number % 100;
  const suffix = tens >= 10 && tens <= 20 ? "th" : (["th", "st", "nd", "rd"][number % 10] ?? "th");
  return `${String(number)}${suffix}`;
}

/** `14:32`, with the day when it is not today. */
export function formatTimeOfDay(timeMs: number, nowMs: number = Date.now()): string {
  const then = new Date(timeMs);
  const time = then.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (then.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${time} on ${then.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}`;
}
