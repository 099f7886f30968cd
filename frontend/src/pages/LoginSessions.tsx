import { useEffect, useMemo } from "preact/hooks";
import { request, requestJson } from "../api/client";
import type { LoginSession } from "../api/types";
import { formatAgo } from "../store/format";
import { signOut } from "../store/me";
import { Resource } from "../store/resource";
import { Button } from "../ui/Button";
import { Loading } from "../ui/Progress";
import { toastError } from "../ui/toast";

/** Where the person is signed in, and a way to end it. */
export function LoginSessions() {
  const all = useMemo(() => new Resource(() => requestJson<LoginSession[]>("me/login-sessions")), []);
  useEffect(() => void all.refresh(), []);

  const end = async (login: LoginSession) => {
    if (login.is_current) {
      await signOut();
      return;
    }
    await request(`me/login-sessions/${String(login.id)}`, { method: "DELETE" }).catch(toastError);
    await all.refresh();
  };

  return (
    <section class="card account-section" aria-labelledby="logins-title">
      <h2 id="logins-title">Where you are signed in</h2>
      {all.error.value && all.data.value === null && <p class="inline-error">{all.error.value.message}</p>}
      {all.isFirstLoad.value && <Loading />}
      <ul class="rows">
        {all.data.value?.map((login) => (
          <li key={login.id} class="row">
            <div class="row-text">
              <span>
                <strong>{browserName(login.user_agent)}</strong>
                {login.is_current && <span class="tag">this browser</span>}
              </span>
              <span class="running-detail">
                {[login.address, login.is_current ? "active now" : `active ${formatAgo(login.last_seen_at)}`, `signed in ${formatAgo(login.created_at)}`].filter(Boolean).join(" · ")}
              </span>
            </div>
            <Button kind="quiet" onClick={() => end(login)}>
              Sign out
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const BROWSERS: readonly [pattern: RegExp, name: string][] = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\//, "Firefox"],
  [/Chrome\/|Chromium\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const SYSTEMS: readonly [pattern: RegExp, name: string][] = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/Linux|X11/, "Linux"],
];

/** "Firefox on Linux", from what the browser says of itself. */
export function browserName(userAgent: string): string {
  const find = (table: readonly [RegExp, string][]) => table.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = find(BROWSERS);
  const system = find(SYSTEMS);
  if (!browser) return userAgent.slice(0, 60) || "Unknown browser";
  return system ? `${browser} on ${system}` : browser;
}
