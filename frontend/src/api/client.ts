import { hubUrl } from "../address";
import { HubError, errorFromAnswer } from "./errors";

export const API_BASE = hubUrl("/api/hub/v1/");

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: Blob | ArrayBuffer | Uint8Array<ArrayBuffer> | string;
  headers?: Record<string, string>;
  query?: Record<string, string | number | boolean | undefined>;
  signal?: AbortSignal;
}

type SignedOutListener = () => void;
const signedOutListeners = new Set<SignedOutListener>();

/** Calls `listener` whenever the hub answers 401. Returns the function that stops it. */
export function onSignedOut(listener: SignedOutListener): () => void {
  signedOutListeners.add(listener);
  return () => signedOutListeners.delete(listener);
}

const actingEndedListeners = new Set<SignedOutListener>();

/** Calls `listener` when the hub says that acting as somebody else is over. Returns the function that stops it. */
export function onActingEnded(listener: SignedOutListener): () => void {
  actingEndedListeners.add(listener);
  return () => actingEndedListeners.delete(listener);
}

type ReachabilityListener = (reachable: boolean) => void;
const reachabilityListeners = new Set<ReachabilityListener>();

/** Tells `listener` with each request whether the hub answered. */
export function onReachability(listener: ReachabilityListener): () => void {
  reachabilityListeners.add(listener);
  return () => reachabilityListeners.delete(listener);
}

/** For requests that do not go through `request` (uploads): what they found out. */
export function reportReachability(reachable: boolean): void {
  for (const listener of reachabilityListeners) listener(reachable);
}

/** The address of an API path: `apiUrl("projects/x/files/a b.txt")`; path parts must be encoded already. */
export function apiUrl(path: string, query: RequestOptions["query"] = {}): string {
  const pairs = Object.entries(query).filter((pair): pair is [string, string | number | boolean] => pair[1] !== undefined);
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return API_BASE + path + (text ? `?${text}` : "");
}

/** `a/b c.txt` → `a/b%20c.txt`: each part encoded, the slashes kept. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

export function csrfToken(cookies: string = document.cookie): string {
  const own = document.documentElement.dataset["csrfCookie"] ?? "csrftoken";
  for (const part of cookies.split("; ")) {
    const [name, value] = part.split("=", 2);
    if (name === own) return decodeURIComponent(value ?? "");
  }
  return "";
}

/** The hub's answer. Raises HubError for anything but 2xx, with status 0 when there was none. */
export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  const method = options.method ?? "GET";
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  if (options.json !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(apiUrl(path, options.query), {
      method,
      headers,
      body: options.json !== undefined ? JSON.stringify(options.json) : (options.body ?? null),
      credentials: "same-origin",
      signal: options.signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    reportReachability(false);
    throw errorFromAnswer(0, "");
  }
  // A proxy in front answers 502 or 504 while the hub restarts.
  reportReachability(response.status !== 502 && response.status !== 504);
  if (response.ok) return response;
  if (response.status === 401) for (const listener of signedOutListeners) listener();
  const error = errorFromAnswer(response.status, await response.text().catch(() => ""));
  if (error.code === "acting_ended") for (const listener of actingEndedListeners) listener();
  throw error;
}

/** The JSON of the hub's answer. */
export async function requestJson<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await request(path, options);
  try {
    return (await response.json()) as T;
  } catch {
    throw new HubError(response.status, "malformed_answer", "The hub's answer could not be read. Try again.");
  }
}
