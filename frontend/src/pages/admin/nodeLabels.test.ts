import { describe, expect, it } from "vitest";

import { labelsText, parseLabels } from "./nodeLabels";

describe("labels of nodes", () => {
  it("are read as they are written for a node, and back", () => {
    const { labels } = parseLabels(" gpu = a100 ,zone=b, big,");
    expect(labels).toEqual({ gpu: "a100", zone: "b", big: "yes" });
    expect(labelsText(labels ?? {})).toBe("gpu=a100, zone=b, big=yes");
    expect(parseLabels("  ").labels).toEqual({});
  });

  it.each(["gpu=", "=yes", "a b=c", "gpu=a=b", "-x=y", `gpu=${"x".repeat(64)}`, "gpu=a,gpu=b"])("are refused when no node can have them: %s", (text) => {
    expect(parseLabels(text).problem).toBeTruthy();
  });
});
