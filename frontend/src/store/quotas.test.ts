import { describe, expect, it } from "vitest";
import type { Usage } from "../api/types";
import { amountText, figuresOf, isNear, limitText, originText, shareText, spanText } from "./quotas";

const usage = (change: Partial<Usage>): Usage => ({
  quota: "max_kernels",
  title: "Kernels running at once",
  help: "",
  limit: 5,
  used: 3,
  unit: "kernels",
  origin: "site",
  ...change,
});

describe("amounts", () => {
  it("are told in the words of their quota", () => {
    expect(amountText("kernel_memory_bytes", 512 * 1024 ** 2)).toBe("512 MiB");
    expect(amountText("total_memory_bytes", 1.5 * 1024 ** 3)).toBe("1.5 GiB");
    expect(amountText("project_storage_bytes", 2_000_000)).toBe("2 MiB");
    expect(amountText("kernel_cpu_cores", 1)).toBe("1 core");
    expect(amountText("kernel_processes", 200)).toBe("200 processes");
    expect(amountText("compute_gib_hours", 12.25)).toBe("12.3 GiB-hours");
    expect(amountText("max_kernels", 1)).toBe("1 kernel");
  });

  it("of time are whole where they can be", () => {
    expect(spanText(45 * 60)).toBe("45 min");
    expect(spanText(7_200)).toBe("2 h");
    expect(spanText(5_400)).toBe("1 h 30 min");
    expect(spanText(86_400)).toBe("1 day");
    expect(spanText(30 * 86_400)).toBe("30 days");
  });

  it("of a limit say both figures, or that there is no limit", () => {
    const figures = figuresOf(usage({}));
    expect(figures && shareText(figures)).toBe("3 of 5 kernels");
    expect(limitText("idle_timeout_s", null)).toBe("no limit");
    expect(limitText("kernelspecs", null)).toBe("all");
    expect(limitText("kernelspecs", [])).toBe("none");
    expect(limitText("kernelspecs", ["deno", "python3"])).toBe("deno, python3");
  });
});

describe("a quota", () => {
  it("without a limit, or of which nothing is used up, has no share", () => {
    expect(figuresOf(usage({ limit: null }))).toBeNull();
    expect(figuresOf(usage({ used: null }))).toBeNull();
    expect(figuresOf(usage({ quota: "kernelspecs", limit: ["python3"] }))).toBeNull();
  });

  it("is near its limit from 80 % on", () => {
    const near = (used: number, limit: number) => isNear({ quota: "max_kernels", title: "", used, limit, origin: "" });
    expect([near(7, 10), near(8, 10), near(12, 10), near(0, 0)]).toEqual([false, true, true, false]);
  });

  it("says who set its limit", () => {
    expect(originText("person")).toBe("set for you");
    expect(originText("a newer one")).toBe("");
  });
});
