import { expect, test } from "vitest";
import { matchScore, rank } from "./matching";

test("letters must all be there, in order", () => {
  expect(matchScore("rac", "Run all cells")).not.toBeNull();
  expect(matchScore("car", "Run all cells")).toBeNull();
  expect(matchScore("", "anything")).toBe(0);
});

test("a whole word beats scattered letters, the start of a word beats its middle", () => {
  expect(rank(["Restart and run", "trash rune", "Run cell", "prune"], "run", (text) => text)).toEqual(["Run cell", "trash rune", "Restart and run", "prune"]);
});

test("without a query the order stays", () => {
  expect(rank(["b", "a"], " ", (text) => text)).toEqual(["b", "a"]);
});

test("file names match at their parts", () => {
  expect(rank(["data/results.csv", "docs/read_results.md", "drs.py"], "drs", (text) => text)[0]).toBe("drs.py");
});
