import { effect, signal } from "@preact/signals";
import { hubUrl } from "../address";
import { csrfToken, onActingEnded, onSignedOut, requestJson } from "../api/client";
import type { Me, Theme } from "../api/types";
import { Resource } from "./resource";

export const me = new Resource<Me>(() => requestJson<Me>("me"));

/** True once the hub said that this browser is signed in no more. */
export const isSignedOut = signal(false);

export function shownName(person: { username: string; display_name: string }): string {
  return person.display_name || person.username;
}

export async function changeMe(change: { display_name?: string; theme?: Theme }): Promise<void> {
  me.set(await requestJson<Me>("me", { method: "PATCH", json: change }));
}

/** The theme at once; the account keeps it for the next time. */
export async function chooseTheme(theme: Theme): Promise<void> {
  me.update((person) => ({ ...person, theme }));
  await changeMe({ theme });
}

/** Where to sign in, coming back to this page. */
export function signInUrl(): string {
  return hubUrl(`/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
}

export async function signOut(): Promise<void> {
  await fetch(hubUrl("/accounts/logout/"), { method: "POST", headers: { "X-CSRFToken": csrfToken() }, redirect: "manual" }).catch(() => undefined);
  location.assign(hubUrl("/accounts/login/"));
}

/** Keeps the page's theme and the sign-in state up to date. */
export function watchMe(): void {
  onSignedOut(() => (isSignedOut.value = true));
  // The hour is over: the next page that is loaded is the administrator's own again.
  onActingEnded(() => location.assign(hubUrl("/")));
  effect(() => {
    const theme = me.data.value?.theme;
    if (theme) document.documentElement.dataset["theme"] = theme;
  });
}
