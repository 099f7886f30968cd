import { describe, expect, test } from "vitest";
import { editableQuantity, formatPair, formatQuantity, parseAmount, type Unit } from "./quantities";

const GIB = 1024 ** 3;

describe("what people write", () => {
  test.each<[string, Unit, number | null]>([
    ["2 GiB", "bytes", 2 * GIB],
    ["2gib", "bytes", 2 * GIB],
    ["2G", "bytes", 2 * GIB],
    ["1.5 GiB", "bytes", 1.5 * GIB],
    ["2 GB", "bytes", 2e9],
    ["512 MiB", "bytes", 512 * 1024 ** 2],
    ["1,024 MiB", "bytes", GIB],
    ["1 TiB", "bytes", 1024 * GIB],
    ["0", "bytes", 0],
    ["30 min", "seconds", 1800],
    ["30m", "seconds", 1800],
    ["1 h 30 min", "seconds", 5400],
    ["1h30m", "seconds", 5400],
    ["90 minutes", "seconds", 5400],
    ["2 days", "seconds", 172_800],
    ["45 s", "seconds", 45],
    ["0.5", "cores", 0.5],
    ["2 cores", "cores", 2],
    ["3", "count", 3],
    ["1,000", "count", 1000],
    ["100 GiB-hours", "gib_hours", 100],
    [" Unlimited ", "bytes", null],
    ["no limit", "count", null],
    ["∞", "seconds", null],
  ])("%s of %s", (text, unit, value) => {
    expect(parseAmount(text, unit)).toEqual({ ok: true, value });
  });

  test.each<[string, Unit, RegExp]>([
    ["", "bytes", /Say how much/],
    ["  ", "count", /Say how much/],
    ["2", "bytes", /which unit: MiB or GiB/],
    ["30", "seconds", /which unit: min, h or days/],
    ["-1", "count", /less than nothing/],
    ["−2 GiB", "bytes", /less than nothing/],
    ["2.5", "count", /whole number/],
    ["1,5 GiB", "bytes", /not clear/],
    ["2 GiBs", "bytes", /not clear/],
    ["2 min", "bytes", /not clear/],
    ["two", "count", /not clear/],
    ["1 GiB 3", "bytes", /not clear/],
    ["1e9", "count", /not clear/],
    ["0x10", "count", /not clear/],
    ["NaN", "cores", /not clear/],
    ["99999999999999999999", "count", /more than there can be/],
    ["9999999 TiB", "bytes", /more than there can be/],
  ])("%s of %s is refused", (text, unit, problem) => {
    const parsed = parseAmount(text, unit);
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) expect(parsed.problem).toMatch(problem);
  });
});

describe("what people read", () => {
  test.each<[number | null, Unit, string]>([
    [2 * GIB, "bytes", "2 GiB"],
    [1.4 * GIB, "bytes", "1.4 GiB"],
    [1023.9 * 1024 ** 2, "bytes", "1 GiB"],
    [1, "bytes", "1 byte"],
    [0, "bytes", "0 bytes"],
    [1800, "seconds", "30 min"],
    [5400, "seconds", "1 h 30 min"],
    [86_400, "seconds", "1 day"],
    [90, "seconds", "1 min 30 s"],
    [0.42, "cores", "0.42 cores"],
    [1, "cores", "1 core"],
    [1200, "count", "1,200"],
    [null, "seconds", "unlimited"],
  ])("%s of %s", (amount, unit, text) => {
    expect(formatQuantity(amount, unit)).toBe(text);
  });

  test("two amounts share a unit", () => {
    expect(formatPair(GIB / 2, 8 * GIB, "bytes")).toBe("0.5 of 8 GiB");
    expect(formatPair(2, 3, "count")).toBe("2 of 3");
  });
});

test("what a field shows is exactly what it would save", () => {
  const amounts: [number | null, Unit][] = [
    ...[0, 1, 1023, GIB, GIB + 1, 1.5 * GIB, 1.25 * GIB, 1e9, 123_456_789, 5 * 1024 ** 4].map((bytes): [number, Unit] => [bytes, "bytes"]),
    ...[0, 1, 59, 60, 90, 1800, 5400, 7201, 86_400, 1e6].map((seconds): [number, Unit] => [seconds, "seconds"]),
    ...[0, 3, 1234].map((count): [number, Unit] => [count, "count"]),
    [0.1, "cores"],
    [null, "bytes"],
  ];
  for (const [amount, unit] of amounts) expect([amount, unit, parseAmount(editableQuantity(amount, unit), unit)]).toEqual([amount, unit, { ok: true, value: amount }]);
});
