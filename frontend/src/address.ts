/** What stands before every address of this hub: empty, or `/hub` where it shares its host. The page says it. */
export const basePath = document.documentElement.dataset["basePath"] ?? "";

/** Where something of the hub is on its host: `/usage` → `/hub/usage`. */
export function hubUrl(path: string): string {
  return basePath + path;
}

/** The reverse: `/hub/usage` → `/usage`, null for an address of another program on this host. */
export function pathInHub(pathname: string): string | null {
  if (pathname === basePath) return "/";
  return pathname.startsWith(`${basePath}/`) ? pathname.slice(basePath.length) : null;
}
