import { expect, test } from "vitest";
import { actionTitle, detailLine, shortDetailLine } from "./auditWords";

const DETAILS = { kernel_id: "e4a8", request_id: "c7de", cells: { a: 1 }, level: "person", changed: ["max_kernels", "storage"], reason: "" };

test("an action without words of its own is shown by its name", () => {
  expect(actionTitle("quota_changed")).toBe("Quota changed");
});

test("the audit log shows all details, but what is empty", () => {
  expect(detailLine(DETAILS)).toBe('kernel id: e4a8, request id: c7de, cells: {"a":1}, level: person, changed: max_kernels storage');
});

test("at a glance there are neither identifiers nor nested parts", () => {
  expect(shortDetailLine(DETAILS)).toBe("level: person, changed: max_kernels storage");
});
