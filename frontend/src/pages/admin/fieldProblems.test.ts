import { describe, expect, test } from "vitest";
import { HubError } from "../../api/errors";
import { fieldProblems } from "./fieldProblems";

function refusal(details: Record<string, unknown>): HubError {
  return new HubError(422, "invalid", "It will not do.", details);
}

describe("what is wrong stands at its field", () => {
  test.each<[string, Record<string, unknown>, Record<string, string>]>([
    ["a sentence a field", { fields: { email: "No address.", username: "Taken." } }, { email: "No address.", username: "Taken." }],
    ["a field that is not here", { fields: { theme: "Odd." } }, { "": "Odd." }],
    ["one field", { field: "email" }, { email: "It will not do." }],
    ["a quota", { quota: "email" }, { email: "It will not do." }],
    ["no field", {}, { "": "It will not do." }],
    ["nonsense", { fields: ["email"], field: 3 }, { "": "It will not do." }],
    ["nonsense inside", { fields: { email: 3 } }, { "": "It will not do." }],
  ])("%s", (_, details, expected) => {
    expect(fieldProblems(refusal(details), ["username", "email"])).toEqual(expected);
  });
});
