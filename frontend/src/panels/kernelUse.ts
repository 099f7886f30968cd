/** What a kernel uses, in the words of the status bar. */

import type { KernelUse } from "../store/outputLogTypes";
import { formatQuantity } from "../store/quantities";

const HIGH = 0.85; // from here on a larger step of a computation may be its last
const FULL = 0.97;

/** `312 MiB of 2 GiB`, `312 MiB` without a limit; empty while nothing was measured. */
export function memoryText(use: KernelUse): string {
  if (use.memory_bytes === null) return "";
  const used = formatQuantity(use.memory_bytes, "bytes");
  return use.memory_limit_bytes === null ? used : `${used} of ${formatQuantity(use.memory_limit_bytes, "bytes")}`;
}

/** `85 %` of one core; `0.9 of 2 cores` where there is a limit. */
export function cpuText(use: KernelUse): string {
  const cores = use.cpu_cores ?? 0;
  if (use.cpu_limit_cores === null) return `${String(Math.round(cores * 100))} %`;
  return `${cores.toFixed(1)} of ${formatQuantity(use.cpu_limit_cores, "cores")}`;
}

export function memoryLevel(use: KernelUse): "fine" | "high" | "full" {
  if (use.memory_bytes === null || !use.memory_limit_bytes) return "fine";
  const share = use.memory_bytes / use.memory_limit_bytes;
  return share >= FULL ? "full" : share >= HIGH ? "high" : "fine";
}
