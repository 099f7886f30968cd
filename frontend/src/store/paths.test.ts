import { describe, expect, test } from "vitest";
import { foldersOf } from "../panels/fileActions";
import { extensionOf, freeName, isWithin, nameOf, parentOf, problemOfName, tabKindOf } from "./paths";

test("a path has a folder, a name and an ending", () => {
  expect([parentOf("a/b/c.TXT"), nameOf("a/b/c.TXT"), extensionOf("a/b/c.TXT")]).toEqual(["a/b", "c.TXT", ".txt"]);
  expect([parentOf("c"), nameOf("c"), extensionOf("a.b/c")]).toEqual(["", "c", ""]);
  expect(extensionOf(".bashrc")).toBe("");
});

test("a folder holds what is below it, not what merely begins like it", () => {
  expect(isWithin("data/x", "data")).toBe(true);
  expect(isWithin("data", "data")).toBe(true);
  expect(isWithin("database", "data")).toBe(false);
  expect(isWithin("anything", "")).toBe(true);
});

test("a free name counts up before the ending", () => {
  expect(freeName("a.csv", new Set())).toBe("a.csv");
  expect(freeName("a.csv", new Set(["a.csv", "a 2.csv"]))).toBe("a 3.csv");
  expect(freeName("folder", new Set(["folder"]))).toBe("folder 2");
});

describe("problemOfName", () => {
  test.each([".", "..", "a/b", "a\\b", "a\u0000b", "a\nb", "ü".repeat(128)])("refuses %j", (name) => {
    expect(problemOfName(name)).not.toBeNull();
  });
  test.each(["a", "a b.txt", "...", "ü".repeat(127), "名前.ipynb"])("takes %j", (name) => {
    expect(problemOfName(name)).toBeNull();
  });
});

test("files open in the view of their kind", () => {
  expect(["a.ipynb", "a.PNG", "a.svg", "a.parquet", "a.py", "Makefile", "a.unknown"].map(tabKindOf)).toEqual(["notebook", "image", "image", "binary", "text", "text", "text"]);
});

test("an uploaded folder needs its folders first, outer ones before inner", () => {
  expect(foldersOf(["up/x/y/1.csv", "up/x/2.csv", "up/3.csv"], "up")).toEqual(["up/x", "up/x/y"]);
  expect(foldersOf(["a.csv"], "")).toEqual([]);
  expect(foldersOf(["b/a/1", "a/1"], "")).toEqual(["a", "b", "b/a"]);
});
