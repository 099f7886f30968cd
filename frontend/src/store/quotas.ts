/** What people read about quotas: amounts, origins, how near a limit is. Pure. */

import type { Usage } from "../api/types";
import { formatMemory, plural } from "./format";

/** Shares of a limit from which on a hint is shown, and from which on nothing more fits. */
export const NEAR = 0.8;

/** A quota of which something is used up, with both figures. */
export interface Figures {
  quota: string;
  title: string;
  used: number;
  limit: number;
  origin: string;
}

export function figuresOf(usage: Usage): Figures | null {
  const { quota, title, used, limit, origin } = usage;
  return typeof limit === "number" && typeof used === "number" ? { quota, title, used, limit, origin } : null;
}

export function isNear(figures: Figures): boolean {
  return figures.limit > 0 && figures.used >= figures.limit * NEAR;
}

/** `3 kernels`, `1.5 GiB`, `2 h`, as the quota's unit is spoken of. */
export function amountText(quota: string, amount: number): string {
  if (quota.endsWith("_bytes")) return formatMemory(amount);
  if (quota.endsWith("_s")) return spanText(amount);
  switch (quota) {
    case "max_kernels":
      return plural(amount, "kernel");
    case "kernel_cpu_cores":
      return plural(amount, "core");
    case "kernel_processes":
      return plural(amount, "process", "processes");
    case "compute_gib_hours":
      return `${amount.toLocaleString("en-GB", { maximumFractionDigits: 1 })} GiB-hours`;
    default:
      return amount.toLocaleString("en-GB");
  }
}

/** `45 min`, `2 h`, `1 h 30 min`, `3 days`. */
export function spanText(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${String(minutes)} min`;
  if (minutes % 1440 === 0) return plural(minutes / 1440, "day");
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${String(hours)} h` : `${String(hours)} h ${String(minutes % 60)} min`;
}

/** `3 of 5 kernels`: what is used of a limit, the unit once. */
export function shareText({ quota, used, limit }: Figures): string {
  const whole = amountText(quota, limit);
  return quota === "max_kernels" ? `${used.toLocaleString("en-GB")} of ${whole}` : `${amountText(quota, used)} of ${whole}`;
}

const ORIGINS: Readonly<Record<string, string>> = {
  site: "set for everybody on this hub",
  team: "set for the team",
  person: "set for you",
};

export function originText(origin: string): string {
  return ORIGINS[origin] ?? "";
}

/** A limit in words: a number with its unit, a list of names, or that there is none. */
export function limitText(quota: string, limit: number | readonly string[] | null): string {
  if (limit === null) return quota === "kernelspecs" ? "all" : "no limit";
  if (typeof limit !== "number") return limit.length > 0 ? limit.join(", ") : "none";
  return amountText(quota, limit);
}
