import { describe, expect, it } from "vitest";
import { HubError } from "../api/errors";
import { quotaRefusalOf } from "./refusals";

const details = {
  quota: "max_kernels",
  limit: 3,
  used: 3,
  unit: "kernels",
  origin: "person",
  kernels: [{ id: "k1", kernelspec_name: "python3", state: "idle", project: { name: "Analysis" }, path: "a/b.ipynb", last_activity_at: null }],
};

describe("a refusal of the hub", () => {
  it("for a quota names the figures and the kernels that count", () => {
    const refusal = quotaRefusalOf(new HubError(429, "quota_exceeded", "You are running 3 of 3 kernels.", details));
    expect(refusal?.figures).toMatchObject({ quota: "max_kernels", used: 3, limit: 3, origin: "person" });
    expect(refusal?.kernels).toEqual([{ id: "k1", kernelspecName: "python3", state: "idle", projectName: "Analysis", path: "a/b.ipynb", lastActivityAt: null }]);
    expect(refusal?.projectId).toBeNull();
  });

  it("that came over a socket is read alike", () => {
    expect(quotaRefusalOf({ code: "quota_exceeded", message: "No.", details } as never)?.message).toBe("No.");
  });

  it("for anything else, or without figures, is no refusal for a quota", () => {
    expect(quotaRefusalOf(new HubError(429, "too_many", "Wait."))).toBeNull();
    expect(quotaRefusalOf({ code: "quota_exceeded", message: "No." })).toBeNull();
    expect(quotaRefusalOf(new HubError(429, "quota_exceeded", "No.", { quota: 3, limit: "x", used: null }))).toBeNull();
  });

  it("survives kernels of a shape it does not know", () => {
    const odd = new HubError(429, "quota_exceeded", "No.", { ...details, kernels: [{}] });
    expect(quotaRefusalOf(odd)?.kernels[0]).toMatchObject({ id: "", projectName: "", path: null });
  });
});
