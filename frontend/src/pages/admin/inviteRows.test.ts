import { describe, expect, test } from "vitest";
import { HubError } from "../../api/errors";
import { linksCsv, orderedRows, resultOfRefusal, summaryOf, type InviteRow } from "./inviteRows";

function row(line: number, outcome: InviteRow["outcome"], change: Partial<InviteRow> = {}): InviteRow {
  return { line, username: `p${String(line)}`, email: "", team: null, role: "member", outcome, message: "", url: null, ...change };
}

test("errors stand first, each kind in the order of the file", () => {
  const rows = [row(2, "unchanged"), row(3, "invite"), row(4, "error"), row(5, "add_to_team"), row(6, "error"), row(7, "invite")];
  expect(orderedRows(rows).map((each) => each.line)).toEqual([4, 6, 3, 7, 5, 2]);
  expect(rows[0]?.line).toBe(2);
});

test("what would be done in a sentence", () => {
  expect(summaryOf({ invite: 1, add_to_team: 2, unchanged: 0, error: 1 })).toBe("1 new link, 2 join a team, 1 error");
  expect(summaryOf({ invite: 1200, add_to_team: 1, unchanged: 3, error: 0 })).toBe("1,200 new links, 1 joins a team, 3 with nothing to do");
  expect(summaryOf({ invite: 0, add_to_team: 0, unchanged: 0, error: 0 })).toBe("nothing");
});

describe("the links as a file", () => {
  test("whole addresses, only of those who have a link", () => {
    const rows = [row(2, "invite", { username: "ann", email: "ann@x.example", team: "lab", url: "/accounts/join/T" }), row(3, "unchanged")];
    expect(linksCsv(rows, "https://hub.example")).toBe("username,email,team,link\r\nann,ann@x.example,lab,https://hub.example/accounts/join/T\r\n");
  });

  test("a cell that a spreadsheet would run, or that has commas and quotes, does no harm", () => {
    const rows = [row(2, "invite", { username: '=HYPERLINK("x")', email: "a,b", url: "/j" })];
    expect(linksCsv(rows, "https://h.example").split("\r\n")[1]).toBe(`"'=HYPERLINK(""x"")","a,b",,https://h.example/j`);
  });
});

test("a list that was refused brings its rows; any other refusal does not", () => {
  const details = { rows: [row(2, "error")], counts: { invite: 0, add_to_team: 0, unchanged: 0, error: 1 } };
  expect(resultOfRefusal(new HubError(422, "invalid_list", "", details))?.rows).toHaveLength(1);
  expect(resultOfRefusal(new HubError(422, "invalid_list", "", {}))).toBeNull();
  expect(resultOfRefusal(new HubError(413, "too_large", "", details))).toBeNull();
  expect(resultOfRefusal(new Error("x"))).toBeNull();
});
