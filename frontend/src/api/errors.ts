/** A refusal of the hub, as a person can read it. `status` is 0 when the hub did not answer at all. */
export class HubError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.name = "HubError";
  }

  get isOffline(): boolean {
    return this.status === 0;
  }
}

const FALLBACKS: Readonly<Record<number, [code: string, message: string]>> = {
  0: ["offline", "The hub does not answer. Check your connection; nothing you wrote is lost."],
  401: ["not_signed_in", "You are signed out. Sign in again to go on."],
  403: ["not_allowed", "You may not do that here. Ask an owner of the project for access."],
  404: ["not_found", "That does not exist, or you have no access to it."],
  409: ["conflict", "Someone changed this at the same time. Reload and try again."],
  413: ["too_large", "That is larger than the hub accepts."],
  429: ["too_many", "Too many requests. Wait a moment and try again."],
  503: ["unavailable", "The hub is starting or busy. It will be back in a moment."],
};

/** The error of the answer, whatever its body: the hub's own shape, a proxy's page, or nothing. */
export function errorFromAnswer(status: number, body: string): HubError {
  try {
    const parsed: unknown = JSON.parse(body);
    if (isRecord(parsed) && isRecord(parsed["error"])) {
      const { code, message, details } = parsed["error"];
      if (typeof code === "string" && typeof message === "string") {
        return new HubError(status, code, message, isRecord(details) ? details : {});
      }
    }
  } catch {
    // Not the hub's shape: a proxy's page or an empty body. The fallback below says what can be said.
  }
  const [code, message] = FALLBACKS[status] ?? [
    "failed",
    status >= 500 ? "The hub had a problem. Try again; if it stays, tell your administrator." : "The hub refused that.",
  ];
  return new HubError(status, code, message);
}

/** What to tell a person about anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof HubError) return error.message;
  return error instanceof Error && error.message ? error.message : "Something went wrong.";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
