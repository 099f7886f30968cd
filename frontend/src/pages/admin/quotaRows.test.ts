import { describe, expect, test } from "vitest";
import { changeOf, changesOf, fieldText, limitWords, type QuotaRow } from "./quotaRows";

const GIB = 1024 ** 3;

function row(change: Partial<QuotaRow> = {}): QuotaRow {
  return {
    quota: "kernel_memory_bytes",
    title: "Memory of a kernel",
    help: "",
    unit: "bytes",
    kind: "count",
    minimum: 64 * 1024 ** 2,
    maximum: 64 * 1024 * GIB,
    level: "person",
    own: null,
    effective: 4 * GIB,
    origin: "site",
    inherited: { value: 4 * GIB, origin: "site" },
    bound: null,
    used: null,
    applies_to_running: true,
    ...change,
  };
}

const names = (change: Partial<QuotaRow> = {}) => row({ quota: "kernelspecs", unit: "kernelspecs", kind: "names", minimum: null, maximum: null, effective: null, ...change });

describe("what is typed into a quota's field", () => {
  test("an amount is set, as the API wants it", () => {
    expect(changeOf(row(), "2 GiB")).toEqual({ kind: "set", value: 2 * GIB });
    expect(changeOf(row(), "unlimited")).toEqual({ kind: "set", value: null });
    expect(changeOf(row({ unit: "s" }), "90 min")).toEqual({ kind: "wrong", problem: "At least 776 days 17 h." });
  });

  test("nothing where something was set gives it back to the level above", () => {
    expect(changeOf(row({ own: { value: GIB } }), " ")).toEqual({ kind: "unset" });
    expect(changeOf(row(), " ")).toEqual({ kind: "same" });
  });

  test("what is there already is no change, however it is written", () => {
    expect(changeOf(row({ own: { value: GIB } }), "1024 MiB")).toEqual({ kind: "same" });
    expect(changeOf(row({ own: { value: null } }), "unlimited")).toEqual({ kind: "same" });
    expect(changeOf(names({ own: { value: ["python3", "r"] } }), "r python3")).toEqual({ kind: "same" });
  });

  test("too little, too much and nonsense are refused in words", () => {
    expect(changeOf(row(), "1 MiB")).toEqual({ kind: "wrong", problem: "At least 64 MiB." });
    expect(changeOf(row(), "65 TiB")).toEqual({ kind: "wrong", problem: "At most 64 TiB." });
    expect(changeOf(row(), "-1 GiB").kind).toBe("wrong");
    expect(changeOf(row(), "lots").kind).toBe("wrong");
  });

  test("a team's administrators give no more than the team has", () => {
    const bounded = row({ bound: 4 * GIB });
    expect(changeOf(bounded, "5 GiB")).toEqual({ kind: "wrong", problem: "The team may have at most 4 GiB." });
    expect(changeOf(bounded, "unlimited").kind).toBe("wrong");
    expect(changeOf(bounded, "4 GiB")).toEqual({ kind: "set", value: 4 * GIB });
  });

  test("kernelspecs are names, all or none", () => {
    expect(changeOf(names(), "python3, r;python3")).toEqual({ kind: "set", value: ["python3", "r"] });
    expect(changeOf(names(), "all")).toEqual({ kind: "set", value: null });
    expect(changeOf(names(), "none")).toEqual({ kind: "set", value: [] });
    expect(changeOf(names(), "../etc").kind).toBe("wrong");
  });
});

test("what a field shows at first asks for no change, at any level and kind", () => {
  const rows = [row(), row({ own: { value: null } }), row({ own: { value: GIB + 1 } }), names(), names({ own: { value: null } }), names({ own: { value: [] } }), names({ own: { value: ["r"] } })];
  for (const each of rows) expect([fieldText(each), changeOf(each, fieldText(each))]).toEqual([fieldText(each), { kind: "same" }]);
});

test("all changes go together, and each problem stands with its quota", () => {
  const rows = [row(), row({ quota: "max_kernels", unit: "kernels", minimum: 0, maximum: 10_000, own: { value: 3 } }), names()];
  expect(changesOf(rows, { kernel_memory_bytes: "2 GiB", max_kernels: "", kernelspecs: "a/b" })).toEqual({
    values: { kernel_memory_bytes: 2 * GIB },
    unset: ["max_kernels"],
    problems: { kernelspecs: "“a/b” cannot be the name of a kernelspec." },
    count: 3,
  });
});

test("limits in words", () => {
  expect(limitWords(row(), null)).toBe("unlimited");
  expect(limitWords(names(), null)).toBe("all");
  expect(limitWords(names(), [])).toBe("none");
  expect(limitWords(names(), ["python3", "r"])).toBe("python3, r");
});
