import { batch, computed, signal } from "@preact/signals";
import { hubUrl, pathInHub } from "./address";
import { terminalOf, terminalPath } from "./store/paths";

export type Route =
  | { page: "dashboard" }
  | { page: "project"; team: string; project: string; path: string | null }
  | { page: "account" }
  | { page: "usage" }
  | { page: "teams"; team: string | null }
  | { page: "admin"; section: string; item: string | null }
  | { page: "not-found" };

/** The page an address names. Malformed escapes and unknown addresses are `not-found`. */
export function parseRoute(pathname: string): Route {
  const path = pathInHub(pathname);
  if (path === null) return { page: "not-found" };
  let parts: string[];
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return { page: "not-found" };
  }
  const [first, team, project, marker, ...rest] = parts;
  if (first === undefined) return { page: "dashboard" };
  if ((first === "account" || first === "usage") && team === undefined) return { page: first };
  if (first === "teams" && project === undefined) return { page: "teams", team: team ?? null };
  // Django's own admin, drawn by the server.
  if (first === "admin" && team !== "records" && marker === undefined) return { page: "admin", section: team ?? "overview", item: project ?? null };
  if (first === "p" && team !== undefined && project !== undefined) {
    if (marker === undefined) return { page: "project", team, project, path: null };
    if (marker === "t" && rest.length === 1 && rest[0]) return { page: "project", team, project, path: terminalPath(rest[0]) };
    if (marker === "f" && rest.length > 0) return { page: "project", team, project, path: rest.join("/") };
  }
  return { page: "not-found" };
}

export function projectUrl(project: { team: string; slug: string }, path: string | null = null): string {
  const base = hubUrl(`/p/${encodeURIComponent(project.team)}/${encodeURIComponent(project.slug)}`);
  const terminal = path === null ? null : terminalOf(path);
  if (terminal !== null) return `${base}/t/${encodeURIComponent(terminal)}`;
  return path ? `${base}/f/${path.split("/").map(encodeURIComponent).join("/")}` : base;
}

export function adminUrl(section: string, item: string | null = null, query = ""): string {
  const path = hubUrl(section === "overview" ? "/admin" : `/admin/${section}${item === null ? "" : `/${encodeURIComponent(item)}`}`);
  return query ? `${path}?${query}` : path;
}

export function teamUrl(slug: string): string {
  return hubUrl(`/teams/${encodeURIComponent(slug)}`);
}

const pathname = signal(location.pathname);
const search = signal(location.search);
export const route = computed(() => parseRoute(pathname.value));
/** What follows the `?` of the address: how a page shows what it shows. */
export const query = computed(() => search.value.replace(/^\?/, ""));

/** Shows another page of the app without a reload. */
export function navigate(url: string, options: { replace?: boolean } = {}): void {
  if (url === location.pathname + location.search) return;
  if (options.replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  follow();
}

function follow(): void {
  batch(() => {
    pathname.value = location.pathname;
    search.value = location.search;
  });
}

/** Follows the browser's buttons and plain clicks on links within the app. */
export function startRouter(): void {
  addEventListener("popstate", follow);
  addEventListener("click", (event) => {
    const url = appLink(event);
    if (url === null) return;
    event.preventDefault();
    navigate(url);
  });
}

/** The address within the app that this click asks for, or null when the browser should do it. */
export function appLink(event: MouseEvent): string | null {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.hasAttribute("download")) return null;
  const url = new URL(link.href, location.href);
  if (url.origin !== location.origin || url.hash || parseRoute(url.pathname).page === "not-found") return null;
  return url.pathname + url.search;
}
