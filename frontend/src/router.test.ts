import { describe, expect, test } from "vitest";
import { appLink, parseRoute, projectUrl } from "./router";

describe("parseRoute", () => {
  test.each([
    ["/", { page: "dashboard" }],
    ["/account", { page: "account" }],
    ["/account/", { page: "account" }],
    ["/p/alice/example", { page: "project", team: "alice", project: "example", path: null }],
    ["/p/alice/example/f/a/b%20c.ipynb", { page: "project", team: "alice", project: "example", path: "a/b c.ipynb" }],
    ["/p/alice", { page: "not-found" }],
    ["/p/alice/example/f", { page: "not-found" }],
    ["/p/alice/example/x/y", { page: "not-found" }],
    ["/teams", { page: "teams", team: null }],
    ["/teams/lab", { page: "teams", team: "lab" }],
    ["/teams/lab/x", { page: "not-found" }],
    ["/admin/", { page: "admin", section: "overview", item: null }],
    ["/admin/people/j%40x", { page: "admin", section: "people", item: "j@x" }],
    ["/admin/records/", { page: "not-found" }],
    ["/admin/people/a/b", { page: "not-found" }],
    ["/p/%E0%A4%A/x", { page: "not-found" }],
  ])("%s", (pathname, expected) => {
    expect(parseRoute(pathname)).toEqual(expected);
  });

  test("an address made for a file names that file again, whatever its name", () => {
    for (const path of ["a.txt", "ä ö/#1?.csv", "100%/x&y=z.ipynb", "f/f/f"]) {
      const route = parseRoute(projectUrl({ team: "t", slug: "s" }, path));
      expect(route).toEqual({ page: "project", team: "t", project: "s", path });
    }
  });
});

describe("appLink", () => {
  function clickOn(html: { href: string; target?: string; download?: string }, init: MouseEventInit = {}): string | null {
    const link = document.createElement("a");
    Object.assign(link, html);
    if (html.download !== undefined) link.setAttribute("download", html.download);
    document.body.append(link);
    let found: string | null = null;
    link.addEventListener("click", (event) => {
      found = appLink(event);
      event.preventDefault();
    });
    link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, button: 0, ...init }));
    link.remove();
    return found;
  }

  test("a plain click on a page of the app stays in the app", () => {
    expect(clickOn({ href: "/p/alice/example" })).toBe("/p/alice/example");
  });

  test("what a page is asked to show goes with it", () => {
    expect(clickOn({ href: "/admin/kernels?owner=alice" })).toBe("/admin/kernels?owner=alice");
  });

  test.each([
    ["another origin", { href: "https://elsewhere.example/p/a/b" }, {}],
    ["a page that the server draws", { href: "/admin/records/" }, {}],
    ["a new tab asked for", { href: "/account", target: "_blank" }, {}],
    ["a download", { href: "/account", download: "x" }, {}],
    ["Ctrl held", { href: "/account" }, { ctrlKey: true }],
    ["a middle click", { href: "/account" }, { button: 1 }],
    ["a place in the page", { href: "/#main" }, {}],
  ])("the browser does %s", (_, link, init) => {
    expect(clickOn(link, init)).toBeNull();
  });
});

test("a terminal has an address of its own, which no file can have", () => {
  const url = projectUrl({ team: "lab", slug: "study" }, "/terminal/1");
  expect(url).toBe("/p/lab/study/t/1");
  expect(parseRoute(url)).toEqual({ page: "project", team: "lab", project: "study", path: "/terminal/1" });
  expect(parseRoute("/p/lab/study/t")).toEqual({ page: "not-found" });
  expect(parseRoute("/p/lab/study/t/1/2")).toEqual({ page: "not-found" });
});
