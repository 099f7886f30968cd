import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { decodeText, encodeText } from "./textBytes";
import { bareEtag, MOST_TEXT_BYTES, TextFile } from "./textFile";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("bytes and text", () => {
  test.each(["a\nb\n", "a\r\nb\r\n", "\ufeffa\nb", "\ufeffa\r\nb\r\n", "no newline at the end", "", "mixed\r\nand\nplain\r", "lone\rreturn", "ü 名前 🙂\n"])("%j comes back byte by byte", (text) => {
    const decoded = decodeText(bytes(text));
    expect(decoded && [...encodeText(decoded.text, decoded.form)]).toEqual([...bytes(text)]);
  });

  test("a Windows file is edited with plain line breaks", () => {
    expect(decodeText(bytes("a\r\nb"))).toEqual({ text: "a\nb", form: { hasBom: false, lineBreak: "\r\n" } });
  });

  test("what is no UTF-8 text is not opened as text", () => {
    expect(decodeText(new Uint8Array([0x61, 0x00, 0x62]))).toBeNull();
    expect(decodeText(new Uint8Array([0xff, 0xfe, 0x41]))).toBeNull();
    expect(decodeText(new Uint8Array([0xc3]))).toBeNull();
  });
});

describe("TextFile", () => {
  const hub = vi.fn<typeof fetch>();
  let file: TextFile;
  beforeEach(() => {
    vi.stubGlobal("fetch", hub);
    file = new TextFile("p", "a b.py");
  });
  afterEach(() => hub.mockReset());
  const answerWith = (response: Response) => hub.mockResolvedValueOnce(response);
  const sentHeaders = () => hub.mock.calls.at(-1)?.[1]?.headers as Record<string, string>;
  const sentBody = () => new TextDecoder("utf-8", { ignoreBOM: true }).decode(hub.mock.calls.at(-1)?.[1]?.body as Uint8Array);
  const load = async (text = "one\r\ntwo\r\n") => {
    answerWith(new Response(bytes(text), { headers: { ETag: '"v1"' } }));
    await file.load();
  };

  test("saves over the version it loaded, in the form it had", async () => {
    await load();
    answerWith(Response.json({ entry: { etag: "v2" } }));
    expect(await file.save("one\nthree\n")).toEqual({ kind: "saved" });
    expect(sentHeaders()["If-Match"]).toBe('"v1"');
    expect(sentBody()).toBe("one\r\nthree\r\n");
    expect(file.etag).toBe("v2");
    answerWith(Response.json({ etag: "v3" }));
    await file.save("x");
    expect(sentHeaders()["If-Match"]).toBe('"v2"');
    expect(file.etag).toBe("v3");
  });

  test("a stale save says where the refused version was kept, and can be forced over the new one", async () => {
    await load();
    answerWith(Response.json({ error: { code: "stale", message: "x", details: { etag: "v9", kept_as: "a b (2).py" } } }, { status: 409 }));
    expect(await file.save("mine")).toEqual({ kind: "stale", stale: { etag: "v9", keptAs: "a b (2).py" } });
    expect(file.savedText).toBe("one\ntwo\n");
    answerWith(Response.json({ entry: { etag: "v10" } }));
    await file.save("mine", "v9");
    expect(sentHeaders()["If-Match"]).toBe('"v9"');
  });

  test("a failed save changes nothing here", async () => {
    await load();
    hub.mockRejectedValueOnce(new TypeError("offline"));
    const outcome = await file.save("mine");
    expect(outcome).toMatchObject({ kind: "failed", error: { status: 0 } });
    expect(file.etag).toBe("v1");
  });

  test("an open text stays when the hub is away, and goes when the file is gone", async () => {
    await load();
    hub.mockRejectedValueOnce(new TypeError("offline"));
    expect(await file.load()).toBe(false);
    expect(file.phase.value).toEqual({ kind: "ready" });
    answerWith(Response.json({ error: { code: "not_found", message: "Gone." } }, { status: 404 }));
    await file.load();
    expect(file.phase.value).toMatchObject({ kind: "failed", error: { status: 404 } });
  });

  test("loading tells whether the text is another", async () => {
    await load("same");
    answerWith(new Response(bytes("same"), { headers: { ETag: '"v2"' } }));
    expect(await file.load()).toBe(false);
    expect(file.etag).toBe("v2");
  });

  test("too large a file is not even read", async () => {
    const cancelled = vi.fn();
    const body = new ReadableStream({ cancel: cancelled });
    answerWith(new Response(body, { headers: { "Content-Length": String(MOST_TEXT_BYTES + 1) } }));
    await file.load();
    expect(file.phase.value).toMatchObject({ kind: "unfit", why: "large" });
    expect(cancelled).toHaveBeenCalled();
  });

  test("bytes that are no text are offered as a download", async () => {
    answerWith(new Response(new Uint8Array([1, 0, 2])));
    await file.load();
    expect(file.phase.value).toEqual({ kind: "unfit", why: "binary", sizeBytes: 3 });
  });

  test("an entity tag is the same with or without its wrapping", () => {
    expect(['"x"', 'W/"x"', "x", null].map(bareEtag)).toEqual(["x", "x", "x", null]);
  });
});
