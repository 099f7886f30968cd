import { describe, expect, test } from "vitest";
import {
  clampedPage,
  EMPTY_STATE,
  keptSelection,
  localPage,
  NOTHING_SELECTED,
  rangeLabel,
  sortDirection,
  stateFromQuery,
  stateToQuery,
  toggled,
  toggledAll,
  toggledSort,
  withFilter,
  withSearch,
} from "./tableState";

describe("the state in the address", () => {
  test("comes back as it was", () => {
    const state = { search: "ä b&c=d", sort: "-memory", page: 2, filters: { state: "busy", team: "lab" } };
    expect(stateFromQuery(stateToQuery(state), ["state", "team"])).toEqual(state);
    expect(stateToQuery(EMPTY_STATE)).toBe("");
  });

  test.each(["page=0", "page=-3", "page=x", "page=1.5", "page=", "page=1e999"])("%s is the first page", (query) => {
    expect(stateFromQuery(query, []).page).toBe(0);
  });

  test("what the table does not filter by is left out", () => {
    expect(stateFromQuery("nonsense=1&state=", ["state"])).toEqual(EMPTY_STATE);
  });
});

describe("changes", () => {
  test("a search, a filter and an order start at the first page", () => {
    const state = { ...EMPTY_STATE, page: 4 };
    expect(withSearch(state, "x").page).toBe(0);
    expect(withFilter(state, "team", "lab")).toEqual({ ...EMPTY_STATE, filters: { team: "lab" } });
    expect(withFilter({ ...state, filters: { team: "lab" } }, "team", "").filters).toEqual({});
    expect(toggledSort(state, "name").page).toBe(0);
  });

  test("a column goes up and down; figures begin with the largest", () => {
    const up = toggledSort(EMPTY_STATE, "name");
    expect(sortDirection(up, "name")).toBe("ascending");
    expect(sortDirection(toggledSort(up, "name"), "name")).toBe("descending");
    expect(toggledSort(toggledSort(up, "name"), "name").sort).toBe("name");
    expect(toggledSort(EMPTY_STATE, "memory", true).sort).toBe("-memory");
    expect(sortDirection(up, "memory")).toBe("none");
  });

  test("a page that is gone gives way to the last one", () => {
    expect(clampedPage(7, 120)).toBe(2);
    expect(clampedPage(7, 0)).toBe(0);
    expect(rangeLabel(2, 120, "person", "people")).toBe("101–120 of 120 people");
    expect(rangeLabel(0, 1, "person", "people")).toBe("1 person");
    expect(rangeLabel(0, 0, "person", "people")).toBe("0 people");
  });
});

describe("a list that is here as a whole", () => {
  const rows = [
    { name: "node-10", free: 5, state: "up" },
    { name: "node-2", free: null, state: "up" },
    { name: "Node-1", free: 7, state: "lost" },
  ];
  const columns = [
    { id: "name", value: (row: (typeof rows)[number]) => row.name },
    { id: "free", value: (row: (typeof rows)[number]) => row.free },
  ];
  const names = (state: Partial<typeof EMPTY_STATE>) =>
    localPage(rows, { ...EMPTY_STATE, ...state }, columns, (row) => `${row.name} ${row.state}`, (row, filters) => !filters["state"] || row.state === filters["state"]).rows.map((row) => row.name);

  test("numbers in names count, capitals do not", () => {
    expect(names({ sort: "name" })).toEqual(["Node-1", "node-2", "node-10"]);
    expect(names({ sort: "-name" })).toEqual(["node-10", "node-2", "Node-1"]);
  });

  test("what is not known goes last both ways", () => {
    expect(names({ sort: "free" })).toEqual(["node-10", "Node-1", "node-2"]);
    expect(names({ sort: "-free" })).toEqual(["Node-1", "node-10", "node-2"]);
  });

  test("every word must be there, and the filter too", () => {
    expect(names({ search: "NODE up" })).toEqual(["node-10", "node-2"]);
    expect(names({ search: "up", filters: { state: "lost" } })).toEqual([]);
    expect(names({ sort: "no-such-column" })).toEqual(["node-10", "node-2", "Node-1"]);
  });

  test("is cut in pages, and the list itself stays in its order", () => {
    const page = localPage(rows, { ...EMPTY_STATE, sort: "name", page: 9 }, columns, (row) => row.name, undefined, 2);
    expect([page.rows.map((row) => row.name), page.total]).toEqual([["node-10"], 3]);
    expect(rows[0]?.name).toBe("node-10");
  });
});

describe("selection", () => {
  const order = ["a", "b", "c", "d"];

  test("Shift takes everything from the last choice, in either direction, on or off", () => {
    const one = toggled(NOTHING_SELECTED, "c", order);
    const range = toggled(one, "a", order, true);
    expect([...range.ids].sort()).toEqual(["a", "b", "c"]);
    expect([...toggled(toggled(range, "b", order), "c", order, true).ids]).toEqual(["a"]);
  });

  test("a range whose start is gone is one row", () => {
    expect([...toggled({ ids: new Set(), anchor: "gone" }, "b", order, true).ids]).toEqual(["b"]);
  });

  test("all, then none", () => {
    const all = toggledAll(toggled(NOTHING_SELECTED, "a", order), order);
    expect(all.ids.size).toBe(4);
    expect(toggledAll(all, order).ids.size).toBe(0);
    expect(toggledAll(NOTHING_SELECTED, []).ids.size).toBe(0);
  });

  test("rows that are not shown any more are not acted on", () => {
    const all = toggledAll(NOTHING_SELECTED, order);
    expect([...keptSelection(all, ["b"]).ids]).toEqual(["b"]);
    expect(keptSelection(all, order)).toBe(all);
  });
});
