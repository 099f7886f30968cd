import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { apiUrl, csrfToken, encodePath, onReachability, onSignedOut, request, requestJson } from "./client";
import { HubError, errorFromAnswer, messageOf } from "./errors";

describe("errorFromAnswer", () => {
  test("keeps the hub's code, sentence and details", () => {
    const error = errorFromAnswer(409, JSON.stringify({ error: { code: "stale", message: "Changed meanwhile.", details: { etag: "x" } } }));
    expect([error.status, error.code, error.message, error.details]).toEqual([409, "stale", "Changed meanwhile.", { etag: "x" }]);
  });

  test.each([
    ["a proxy's page", "<html>502</html>"],
    ["nothing", ""],
    ["JSON of another shape", '{"detail": "x"}'],
    ["a code that is no text", '{"error": {"code": 5, "message": "x"}}'],
    ["null", "null"],
  ])("says something useful for %s", (_, body) => {
    const error = errorFromAnswer(503, body);
    expect(error.code).toBe("unavailable");
    expect(error.message).toMatch(/\.$/);
  });

  test("details of another shape are dropped", () => {
    expect(errorFromAnswer(400, '{"error": {"code": "x", "message": "y", "details": [1]}}').details).toEqual({});
  });

  test("what is no Error at all still has a message", () => {
    expect(messageOf("boom")).toBe("Something went wrong.");
    expect(messageOf(new Error("")).length).toBeGreaterThan(0);
  });
});

describe("request", () => {
  const fetched = vi.fn<typeof fetch>();
  beforeEach(() => {
    vi.stubGlobal("fetch", fetched);
    document.cookie = "csrftoken=secret";
  });
  afterEach(() => fetched.mockReset());

  const headersOf = () => fetched.mock.calls[0]?.[1]?.headers as Record<string, string>;

  test("a change carries the CSRF token, a look does not", async () => {
    fetched.mockImplementation(() => Promise.resolve(new Response("{}")));
    await request("projects");
    expect(headersOf()["X-CSRFToken"]).toBeUndefined();
    fetched.mockClear();
    await request("projects", { method: "POST", json: { name: "x" } });
    expect(headersOf()["X-CSRFToken"]).toBe("secret");
    expect(headersOf()["Content-Type"]).toBe("application/json");
  });

  test("no answer is an offline error, and listeners hear of it", async () => {
    fetched.mockRejectedValue(new TypeError("Failed to fetch"));
    const heard: boolean[] = [];
    const stop = onReachability((reachable) => heard.push(reachable));
    const error = await request("me").catch((caught: unknown) => caught);
    stop();
    expect(error).toBeInstanceOf(HubError);
    expect((error as HubError).isOffline).toBe(true);
    expect(heard).toEqual([false]);
  });

  test("a cancelled request stays a cancellation", async () => {
    fetched.mockRejectedValue(new DOMException("Aborted", "AbortError"));
    await expect(request("me")).rejects.toMatchObject({ name: "AbortError" });
  });

  test("401 tells that the person is signed out", async () => {
    fetched.mockResolvedValue(new Response("", { status: 401 }));
    const heard = vi.fn();
    const stop = onSignedOut(heard);
    await expect(request("me")).rejects.toMatchObject({ code: "not_signed_in" });
    stop();
    expect(heard).toHaveBeenCalledTimes(1);
  });

  test("an answer that is no JSON is an error of its own", async () => {
    fetched.mockResolvedValue(new Response("<html>"));
    await expect(requestJson("me")).rejects.toMatchObject({ code: "malformed_answer" });
  });
});

test("paths keep their slashes and encode the rest", () => {
  expect(encodePath("a/ü #?.txt")).toBe("a/%C3%BC%20%23%3F.txt");
  expect(apiUrl("projects", { limit: 5, missing: undefined })).toBe("/api/hub/v1/projects?limit=5");
});

test("the security token is read from the cookie that the page names", () => {
  expect(csrfToken("a=b; csrftoken=one")).toBe("one");
  expect(csrfToken("xcsrftoken=no")).toBe("");
  document.documentElement.dataset["csrfCookie"] = "csrftoken.hub";
  expect(csrfToken("csrftoken=no; csrftoken.hub=two")).toBe("two");
  delete document.documentElement.dataset["csrfCookie"];
});
