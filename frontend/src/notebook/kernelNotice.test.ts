import { describe, expect, it } from "vitest";

import type { KernelNotice } from "../store/outputLog";
import { createOutputLog } from "../store/outputLog";
import { canKeep, noticeText } from "./kernelNotice";

const NOTHING: KernelNotice = { type: "kernel_notice", kernel_id: "k", queue_position: null, queue_length: null, ends_at: null, end_cause: null, used_at: null };
const NOON = new Date(2026, 0, 5, 12, 0).getTime();
const MINUTE = 60_000;

describe("the words of a kernel's notice", () => {
  it("tells the place in the queue", () => {
    expect(noticeText({ ...NOTHING, queue_position: 3, queue_length: 7 })).toContain("3rd of 7 in the queue");
    expect(noticeText({ ...NOTHING, queue_position: 1, queue_length: 1 })).toContain("Yours is 1st in the queue");
  });

  it("tells when and why the kernel stops, and offers to keep it only where that helps", () => {
    const idle: KernelNotice = { ...NOTHING, ends_at: NOON + 5 * MINUTE, end_cause: "idle", used_at: NOON - 55 * MINUTE };
    expect(noticeText(idle, NOON)).toMatch(/^This kernel stops at 12:05 because nobody has used it since 11:05\./);
    expect(canKeep(idle)).toBe(true);
    for (const end_cause of ["life", "drain"] as const) {
      expect(noticeText({ ...idle, end_cause }, NOON)).toMatch(/^This kernel stops at 12:05 because it/);
      expect(canKeep({ ...idle, end_cause })).toBe(false);
    }
  });

  it("says nothing when nothing holds", () => {
    expect(noticeText(null)).toBeNull();
    expect(noticeText(NOTHING)).toBeNull();
    expect(canKeep({ ...NOTHING, queue_position: 1 })).toBe(false);
  });
});

describe("a notice in the output log", () => {
  const kernel = (seq: number, state: string, id = "k") => ({ type: "ops" as const, ops: [{ op: "kernel" as const, seq, at: 1, kernel_id: id, kernelspec_name: "python3", state }] });
  const idle: KernelNotice = { ...NOTHING, ends_at: NOON, end_cause: "idle" };

  it("ends when the kernel is used, but not by turning idle", () => {
    const log = createOutputLog((now) => now());
    log.receive(idle);
    log.receive(kernel(1, "idle"));
    expect(log.notice.value).toBe(idle);
    log.receive(kernel(2, "busy"));
    expect(log.notice.value).toBeNull();
  });

  it("stays for a busy kernel that has lived long enough", () => {
    const log = createOutputLog((now) => now());
    log.receive({ ...idle, end_cause: "life" });
    log.receive(kernel(1, "busy"));
    expect(log.notice.value).not.toBeNull();
  });

  it("ends when the kernel gets its place, when it ends, and when another takes over", () => {
    for (const [notice, state, id] of [
      [{ ...NOTHING, queue_position: 2, queue_length: 2 }, "starting", "k"],
      [idle, "culled", "k"],
      [idle, "idle", "another"],
    ] as const) {
      const log = createOutputLog((now) => now());
      log.receive(notice);
      log.receive(kernel(1, state, id));
      expect(log.notice.value).toBeNull();
    }
  });

  it("is told anew by each connection, and taken back by an empty one", () => {
    const log = createOutputLog((now) => now());
    log.receive(idle);
    log.receive({ type: "resumed", seq: 0 });
    expect(log.notice.value).toBeNull();
    log.receive(idle);
    log.receive(NOTHING);
    expect(log.notice.value).toBeNull();
  });
});
