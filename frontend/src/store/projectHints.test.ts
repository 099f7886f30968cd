import { describe, expect, test } from "vitest";
import { parseHint } from "./projectHints";

describe("parseHint", () => {
  test("knows every kind", () => {
    expect(parseHint('{"type":"files","path":"data"}')).toEqual({ type: "files", path: "data" });
    expect(parseHint('{"type":"kernels","more":1}')).toEqual({ type: "kernels" });
    expect(parseHint('{"type":"announcements"}')).toEqual({ type: "announcements" });
    expect(parseHint('{"type":"me"}')).toEqual({ type: "me" });
  });
  test.each(["", "nonsense", "null", "[]", "5", '{"type":"files"}', '{"type":"files","path":5}', '{"type":"later"}'])("ignores %j", (frame) => {
    expect(parseHint(frame)).toBeNull();
  });
  test("ignores binary frames", () => {
    expect(parseHint(new ArrayBuffer(4))).toBeNull();
  });
});
