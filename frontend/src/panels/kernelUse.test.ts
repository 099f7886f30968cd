import { describe, expect, it } from "vitest";

import type { KernelUse } from "../store/outputLogTypes";
import { cpuText, memoryLevel, memoryText } from "./kernelUse";

const MIB = 1024 ** 2;
const USE: KernelUse = { type: "kernel_use", kernel_id: "k", memory_bytes: 312 * MIB, memory_limit_bytes: 2048 * MIB, cpu_cores: 0.85, cpu_limit_cores: 2 };

describe("what a kernel uses", () => {
  it("is told with its limit", () => {
    expect(memoryText(USE)).toBe("312 MiB of 2 GiB");
    expect(cpuText(USE)).toBe("0.8 of 2 cores");
  });

  it("is told without one where there is none, and not before it is measured", () => {
    expect(memoryText({ ...USE, memory_limit_bytes: null })).toBe("312 MiB");
    expect(cpuText({ ...USE, cpu_limit_cores: null })).toBe("85 %");
    expect(memoryText({ ...USE, memory_bytes: null })).toBe("");
    expect(cpuText({ ...USE, cpu_cores: null })).toBe("0.0 of 2 cores");
  });

  it("warns near the limit only", () => {
    const at = (share: number): string => memoryLevel({ ...USE, memory_bytes: 2048 * MIB * share });
    expect([at(0.5), at(0.84), at(0.9), at(0.98), at(1.1)]).toEqual(["fine", "fine", "high", "full", "full"]);
    expect(memoryLevel({ ...USE, memory_limit_bytes: null })).toBe("fine");
    expect(memoryLevel({ ...USE, memory_bytes: null })).toBe("fine");
  });
});
