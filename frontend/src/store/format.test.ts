import { describe, expect, test } from "vitest";
import { formatAgo, formatBytes, formatMemory, plural } from "./format";

test.each([
  [0, "0 bytes"],
  [1, "1 byte"],
  [999, "999 bytes"],
  [1000, "1.0 KB"],
  [9949, "9.9 KB"],
  [9950, "10 KB"],
  [999_499, "999 KB"],
  [999_999, "1.0 MB"],
  [1.5e12, "1.5 TB"],
  [5e15, "5000 TB"],
])("%d bytes are %s", (size, expected) => {
  expect(formatBytes(size)).toBe(expected);
});

describe("formatAgo", () => {
  const now = Date.parse("2026-11-22T12:00:00Z");
  test.each([
    ["2026-11-22T11:59:30Z", "just now"],
    ["2026-11-22T12:00:30Z", "just now"],
    ["2026-11-22T11:55:00Z", "5 min ago"],
    ["2026-11-22T09:00:00Z", "3 h ago"],
    ["2026-11-21T10:00:00Z", "yesterday"],
    ["2026-11-18T10:00:00Z", "4 days ago"],
    ["2026-03-05T10:00:00Z", "5 Mar"],
    ["2024-03-05T10:00:00Z", "5 Mar 2024"],
    ["nonsense", ""],
  ])("%s", (time, expected) => {
    expect(formatAgo(time, now)).toBe(expected);
  });
  test("nothing happened yet", () => {
    expect(formatAgo(null, now)).toBe("never");
  });
});

test("memory is told by powers of 1,024, as limits are given", () => {
  expect(formatMemory(512 * 1024 ** 2)).toBe("512 MiB");
  expect(formatMemory(2 * 1024 ** 3)).toBe("2 GiB");
  expect([0, 1, 2048].map(formatMemory)).toEqual(["0 MiB", "1 KiB", "2 KiB"]);
  expect(formatMemory(1.25 * 1024 ** 3)).toBe("1.3 GiB");
});

test("counted things have their plural", () => {
  expect(plural(1, "file")).toBe("1 file");
  expect(plural(1200, "file")).toBe("1,200 files");
});
