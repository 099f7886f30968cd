import { beforeEach, describe, expect, test, vi } from "vitest";
import { ProjectTabs } from "./tabs";

class MemoryStorage {
  readonly items = new Map<string, string>();
  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }
}

let storage: MemoryStorage;
let tabs: ProjectTabs;
const paths = () => tabs.tabs.value.map((tab) => tab.path);

beforeEach(() => {
  storage = new MemoryStorage();
  tabs = new ProjectTabs("p", storage);
});

describe("ProjectTabs", () => {
  test("a file has one tab, however often it is opened", () => {
    tabs.open("a.py");
    tabs.open("b.py");
    tabs.open("a.py");
    expect(paths()).toEqual(["a.py", "b.py"]);
    expect(tabs.active.value).toBe("a.py");
  });

  test("a new tab comes beside the active one", () => {
    for (const path of ["a", "b", "c"]) tabs.open(path);
    tabs.open("a");
    tabs.open("d");
    expect(paths()).toEqual(["a", "d", "b", "c"]);
  });

  test("closing goes back to the tab visited before", () => {
    for (const path of ["a", "b", "c"]) tabs.open(path);
    tabs.open("a");
    tabs.close("a");
    expect(tabs.active.value).toBe("c");
    tabs.close("c");
    tabs.close("b");
    expect(tabs.active.value).toBeNull();
  });

  test("closing a tab in the background leaves the active one", () => {
    for (const path of ["a", "b"]) tabs.open(path);
    tabs.close("a");
    expect(tabs.active.value).toBe("b");
  });

  test("tabs follow a folder that is moved, and only that folder", () => {
    for (const path of ["data/a.csv", "data/raw/b.csv", "database.txt"]) tabs.open(path);
    tabs.open("data/a.csv");
    const untouched = tabs.get("database.txt");
    tabs.moved("data", "old/data");
    expect(tabs.get("database.txt")).toBe(untouched);
    expect(paths()).toEqual(["old/data/a.csv", "old/data/raw/b.csv", "database.txt"]);
    expect(tabs.active.value).toBe("old/data/a.csv");
  });

  test("a file that gets another ending opens in another view", () => {
    tabs.open("a.txt");
    tabs.moved("a.txt", "a.ipynb");
    expect(tabs.get("a.ipynb")?.kind).toBe("notebook");
  });

  test("come back on the next visit, without one being shown", () => {
    tabs.open("a");
    tabs.open("b");
    const again = new ProjectTabs("p", storage);
    expect(again.tabs.value.map((tab) => tab.path)).toEqual(["a", "b"]);
    expect(again.active.value).toBeNull();
    expect(new ProjectTabs("other", storage).tabs.value).toEqual([]);
  });

  test.each(["", "not json", "{}", "[1, null, \"\"]", "null"])("what is stored may be %j", (stored) => {
    storage.setItem("hub.tabs.p", stored);
    expect(new ProjectTabs("p", storage).tabs.value).toEqual([]);
  });

  test("storage that is full loses nothing but the memory", () => {
    const full = { getItem: () => null, setItem: () => { throw new DOMException("full", "QuotaExceededError"); } };
    const kept = new ProjectTabs("p", full);
    kept.open("a");
    expect(kept.tabs.value).toHaveLength(1);
  });

  test("reordering puts a tab before another, or last", () => {
    for (const path of ["a", "b", "c"]) tabs.open(path);
    tabs.reorder("c", "a");
    expect(paths()).toEqual(["c", "a", "b"]);
    tabs.reorder("c", null);
    expect(paths()).toEqual(["a", "b", "c"]);
    tabs.reorder("a", "gone");
    expect(paths()).toEqual(["b", "c", "a"]);
  });

  test("saving before a move stops at the first that cannot be saved", async () => {
    for (const path of ["data/a", "data/b", "c"]) {
      tabs.open(path);
      const tab = tabs.get(path);
      if (tab) {
        tab.status.value = { saved: "unsaved" };
        tab.save = vi.fn(() => Promise.resolve(path !== "data/a"));
      }
    }
    expect(await tabs.saveWithin("data")).toBe(false);
    expect(tabs.get("c")?.save).not.toHaveBeenCalled();
    expect(await tabs.saveWithin("c")).toBe(true);
    expect(tabs.unsaved()).toHaveLength(3);
  });
});
