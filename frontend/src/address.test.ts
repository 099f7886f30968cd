import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

/** The modules as a page loads them that says it is below `/hub`. */
async function belowHub() {
  const { pathInHub } = await import("./address");
  const { adminUrl, appLink, parseRoute, projectUrl, teamUrl } = await import("./router");
  const { apiUrl, csrfToken } = await import("./api/client");
  const { signInUrl } = await import("./store/me");
  const { HubSocket } = await import("./socket");
  return { pathInHub, adminUrl, appLink, parseRoute, projectUrl, teamUrl, apiUrl, csrfToken, signInUrl, HubSocket };
}

describe("a hub below /hub", () => {
  beforeEach(() => {
    vi.resetModules();
    Object.assign(document.documentElement.dataset, { basePath: "/hub", csrfCookie: "csrftoken.hub" });
  });
  afterEach(() => {
    delete document.documentElement.dataset["basePath"];
    delete document.documentElement.dataset["csrfCookie"];
    vi.resetModules();
  });

  test("makes all its addresses below it", async () => {
    const hub = await belowHub();
    expect(hub.projectUrl({ team: "lab", slug: "s" }, "a b.ipynb")).toBe("/hub/p/lab/s/f/a%20b.ipynb");
    expect(hub.adminUrl("overview")).toBe("/hub/admin");
    expect(hub.adminUrl("people", "bob", "x=1")).toBe("/hub/admin/people/bob?x=1");
    expect(hub.teamUrl("lab")).toBe("/hub/teams/lab");
    expect(hub.apiUrl("me", { a: 1 })).toBe("/hub/api/hub/v1/me?a=1");
    expect(hub.signInUrl()).toMatch(/^\/hub\/accounts\/login\/\?next=/);
  });

  test("opens its sockets below it", async () => {
    const asked: string[] = [];
    vi.stubGlobal(
      "WebSocket",
      class {
        static readonly OPEN = 1;
        readyState = 0;
        constructor(url: URL) {
          asked.push(url.pathname + url.search);
        }
        close() {}
      },
    );
    const { HubSocket } = await belowHub();
    new HubSocket({ url: () => "/ws/runs/1?x=2", onMessage: () => undefined }).close();
    expect(asked).toEqual(["/hub/ws/runs/1?x=2"]);
  });

  test("knows its own pages from those of others on the host", async () => {
    const { parseRoute, pathInHub } = await belowHub();
    expect(parseRoute("/hub")).toEqual({ page: "dashboard" });
    expect(parseRoute("/hub/")).toEqual({ page: "dashboard" });
    expect(parseRoute("/hub/p/a/b")).toEqual({ page: "project", team: "a", project: "b", path: null });
    for (const foreign of ["/", "/usage", "/hubs/usage", "/p/a/b"]) {
      expect(parseRoute(foreign)).toEqual({ page: "not-found" });
      expect(pathInHub(foreign)).toBeNull();
    }
  });

  test("leaves a link to another program of the host to the browser", async () => {
    const { appLink } = await belowHub();
    const found: (string | null)[] = [];
    for (const href of ["/hub/usage", "/usage", "/other/"]) {
      const link = document.createElement("a");
      link.href = href;
      document.body.append(link);
      link.addEventListener("click", (event) => {
        found.push(appLink(event));
        event.preventDefault();
      });
      link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
      link.remove();
    }
    expect(found).toEqual(["/hub/usage", null, null]);
  });

  test("reads its own security token and not that of another program", async () => {
    const { csrfToken } = await belowHub();
    expect(csrfToken("csrftoken=other; csrftoken.hub=ours")).toBe("ours");
    expect(csrfToken("csrftoken=other")).toBe("");
  });
});
