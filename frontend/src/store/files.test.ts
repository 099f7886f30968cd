import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Entry } from "../api/types";
import { ProjectFiles, sortEntries } from "./files";

const entry = (path: string, type: Entry["type"] = "file"): Entry => ({ name: path.split("/").at(-1) ?? "", path, type, size: 1, modified_at: null, etag: type === "folder" ? null : `e-${path}` });

/** A hub with these folders; each request is kept. */
function hubWith(folders: Record<string, Entry[]>) {
  const requests: string[] = [];
  let gate: Promise<undefined> | null = null;
  const hub = vi.fn(async (input: string | URL | Request, init?: RequestInit) => {
    const url = new URL(String(input), "http://hub");
    requests.push(`${init?.method ?? "GET"} ${decodeURIComponent(url.pathname).replace("/api/hub/v1/projects/p/", "")}${url.search}`);
    if (gate) await gate;
    const path = decodeURIComponent(url.pathname).split("/files/")[1] ?? "";
    const entries = folders[path];
    if (init?.method === "DELETE") return Response.json({ trash_id: "t1" });
    if (url.pathname.endsWith("/restore")) return Response.json({ entry: entry("back.txt") });
    if (init?.method && init.method !== "GET") return Response.json({ entry: entry(path) }, { status: 201 });
    return entries ? Response.json({ path, type: "folder", entries }) : Response.json({ error: { code: "not_found", message: "Gone.", details: {} } }, { status: 404 });
  });
  return { requests, hub, folders, hold: (held: Promise<undefined> | null) => {
      gate = held;
    } };
}

let mock: ReturnType<typeof hubWith>;
let files: ProjectFiles;
beforeEach(() => {
  mock = hubWith({ "": [entry("z.py"), entry("data", "folder"), entry("a10.csv"), entry("a2.csv")], data: [entry("data/raw", "folder"), entry("data/x.csv")], "data/raw": [entry("data/raw/y.csv")] });
  vi.stubGlobal("fetch", mock.hub);
  files = new ProjectFiles("p");
});
afterEach(() => vi.restoreAllMocks());

const shown = () => files.nodes.value.map((node) => node.id);

describe("ProjectFiles", () => {
  test("the first refresh loads the project's own folder", async () => {
    await files.refresh();
    expect(shown()).toEqual(["data", "a2.csv", "a10.csv", "z.py"]);
    expect(files.isLoaded.value).toBe(true);
  });

  test("revealing a file opens each folder above it, outer first", async () => {
    await files.refresh();
    await files.reveal("data/raw/y.csv");
    expect([...files.openFolders.value]).toEqual(["data", "data/raw"]);
    expect(files.entry("data/raw/y.csv")?.name).toBe("y.csv");
  });

  test("a folder with too many entries is closed and says why, until it can be shown", async () => {
    await files.refresh();
    const refusal = { error: { code: "folder_too_large", message: "Too many entries.", details: {} } };
    mock.hub.mockImplementationOnce(async () => Response.json(refusal, { status: 413 }));
    await files.setOpen("data", true);
    expect(files.refusalOf("data")?.message).toBe("Too many entries.");
    expect([...files.openFolders.value]).toEqual([]);
    await files.setOpen("data", true);
    expect(files.refusalOf("data")).toBeNull();
    expect([...files.openFolders.value]).toEqual(["data"]);
  });

  test("a project's own folder with too many entries says so, and comes back by a hint", async () => {
    await files.refresh();
    mock.hub.mockImplementationOnce(async () => Response.json({ error: { code: "folder_too_large", message: "Too many." } }, { status: 413 }));
    await files.hint("");
    expect(files.error.value?.message).toBe("Too many.");
    expect(files.isLoaded.value).toBe(false);
    await files.hint("");
    expect(files.error.value).toBeNull();
    expect(files.isLoaded.value).toBe(true);
  });

  test("a hint for a folder nobody looked into costs no request", async () => {
    await files.refresh();
    const before = mock.requests.length;
    await files.hint("data");
    expect(mock.requests).toHaveLength(before);
    await files.hint("");
    expect(mock.requests).toHaveLength(before + 1);
  });

  test("a hint during a fetch makes one more fetch, however many hints came", async () => {
    let letGo: (value: undefined) => void = () => undefined;
    mock.hold(new Promise<undefined>((resolve) => (letGo = resolve)));
    const first = files.load("");
    const others = [files.load(""), files.load("")];
    mock.hold(null);
    letGo(undefined);
    await Promise.all([first, ...others]);
    expect(mock.requests).toHaveLength(2);
  });

  test("a folder that is gone closes, with all below it", async () => {
    await files.refresh();
    await files.reveal("data/raw/y.csv");
    delete mock.folders["data"];
    await files.load("data");
    expect([...files.openFolders.value]).toEqual([]);
    expect(files.entriesOf("data/raw")).toBeNull();
  });

  test("an error keeps the list that was there", async () => {
    await files.refresh();
    delete mock.folders[""];
    await files.refresh();
    expect(shown()).toHaveLength(4);
    expect(files.error.value?.message).toBe("Gone.");
  });

  test("deleting names the file with its characters encoded, and restoring refetches", async () => {
    await files.refresh();
    expect(await files.remove("ü #1.csv")).toBe("t1");
    expect(mock.hub.mock.calls.some(([url]) => String(url).endsWith("files/%C3%BC%20%231.csv"))).toBe(true);
    expect((await files.restore("t1")).path).toBe("back.txt");
  });

  test("new things never replace what has the name already", async () => {
    await files.createFile("n.txt", "");
    await files.createFolder("new");
    const puts = mock.hub.mock.calls.filter(([, init]) => init?.method === "PUT");
    expect(puts.map(([, init]) => (init?.headers as Record<string, string>)["If-None-Match"])).toEqual(["*", "*"]);
  });

  test("views hear of every change that may concern them", async () => {
    const heard: string[] = [];
    const stop = files.onChange((folder) => heard.push(folder));
    await files.refresh();
    await files.hint("elsewhere");
    stop();
    await files.hint("later");
    expect(heard).toEqual(["", "elsewhere"]);
  });
});

test("folders come first, and numbers count as numbers", () => {
  expect(sortEntries([entry("b"), entry("a10"), entry("Z", "folder"), entry("A2")]).map(({ name }) => name)).toEqual(["Z", "A2", "a10", "b"]);
});
