"""The errors a person, a client or a test meets: one tree, and one table that maps each code.

A class of the tree names its `code`; the table says which HTTP status and which WebSocket close code that is. A test
compares the close codes with those of the frontend.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from zasper_hub.accounts.metrics import QUOTA_REFUSALS


class CodeMeaning(NamedTuple):
    """How one error code leaves the hub."""

    status: int
    close_code: int
    default_message: str


CODES: dict[str, CodeMeaning] = {
    "bad_request": CodeMeaning(400, 4400, "The request could not be understood."),
    "malformed": CodeMeaning(400, 4400, "The message is not of the expected form."),
    "not_signed_in": CodeMeaning(401, 4401, "Sign in first."),
    "forbidden": CodeMeaning(403, 4403, "Your role does not allow this."),
    "viewer": CodeMeaning(
        403, 4403, "You can look at this notebook but not change it. Ask an owner for access."
    ),
    "wrong_scope": CodeMeaning(403, 4403, "The API token does not have the scope this needs."),
    "wrong_origin": CodeMeaning(403, 4403, "The connection comes from another site."),
    "csrf_failed": CodeMeaning(
        403, 4403, "The page's security token is missing or out of date. Reload the page and try again."
    ),
    "acting": CodeMeaning(403, 4403, "Not while you act as another person. Stop acting as them first."),
    "acting_ended": CodeMeaning(
        403, 4403, "You no longer act as another person. Reload the page to go on as yourself."
    ),
    "wrong_password": CodeMeaning(403, 4403, "The current password is not right."),
    # Sockets do not tell "no such thing" from "not allowed".
    "not_found": CodeMeaning(404, 4403, "There is nothing here, or you may not know of it."),
    "method_not_allowed": CodeMeaning(405, 4400, "This address does not answer that method."),
    "conflict": CodeMeaning(409, 4409, "Something changed in between. Reload and try again."),
    "exists": CodeMeaning(409, 4409, "That name is taken."),
    "stale": CodeMeaning(409, 4409, "The file changed since you opened it."),
    "last_owner": CodeMeaning(409, 4409, "Somebody must own it: make another person owner first."),
    "holds_storage": CodeMeaning(409, 4409, "Another owner must take over the project's storage first."),
    "last_administrator": CodeMeaning(
        409, 4409, "The hub needs an administrator: make another person administrator first."
    ),
    "yourself": CodeMeaning(409, 4409, "You cannot do this to your own account."),
    "wrong_epoch": CodeMeaning(409, 4409, "The notebook was replaced since you opened it."),
    "kernel_not_running": CodeMeaning(409, 4409, "The kernel is not running. Start it and try again."),
    "kernel_stopping": CodeMeaning(409, 4409, "The kernel is being stopped. Try again in a moment."),
    "too_large": CodeMeaning(413, 4413, "That is larger than this hub accepts."),
    "folder_too_large": CodeMeaning(413, 4413, "The folder has more entries than this hub shows."),
    "notebook_too_large": CodeMeaning(413, 4413, "The notebook is larger than this hub opens."),
    "invalid": CodeMeaning(422, 4400, "A value is not acceptable."),
    "invalid_list": CodeMeaning(422, 4400, "Some lines of the list are not acceptable. Nothing was done."),
    "not_a_notebook": CodeMeaning(422, 4400, "The file is not a Jupyter notebook."),
    "notebook_too_old": CodeMeaning(
        422, 4400, "The notebook's format is older than version 4. Convert it first."
    ),
    "unknown_kernelspec": CodeMeaning(422, 4400, "No running node has that kernel."),
    "unknown_cell": CodeMeaning(422, 4400, "The notebook has no such cell."),
    "too_many": CodeMeaning(429, 4429, "Too many at once. Wait a little and try again."),
    "quota_exceeded": CodeMeaning(429, 4429, "Your quota is used up."),
    "internal": CodeMeaning(500, 1011, "The hub made a mistake. It has been logged."),
    "too_slow": CodeMeaning(503, 4408, "The connection could not keep up."),
    "unavailable": CodeMeaning(503, 4503, "The hub cannot do this right now. Try again in a moment."),
    "disk_full": CodeMeaning(503, 4503, "The hub's disk is full. Nothing was changed."),
    "no_kernel_reply": CodeMeaning(503, 4503, "The kernel did not answer in time."),
    "no_node": CodeMeaning(503, 4503, "No node is up that could start a kernel. Try again in a moment."),
}


class HubError(Exception):
    """Something went wrong that the caller is told about.

    `message` is a sentence a person can act on and `details` holds JSON values only; both reach the client, so neither
    may hold a path of the server, a token or content. `code` may be given for one error; else it is the class's.
    """

    code: str = "internal"

    def __init__(self, message: str = "", *, code: str | None = None, **details: Any) -> None:
        if code is not None:
            self.code = code
        self.message = message or CODES[self.code].default_message
        self.details = details
        super().__init__(self.message)

    def __init_subclass__(cls) -> None:
        if cls.code not in CODES:
            raise TypeError(f"{cls.__name__}.code {cls.code!r} is not in the table of errors")

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def status(self) -> int:
        return CODES[self.code].status

    @property
    def close_code(self) -> int:
        return CODES[self.code].close_code

    def as_json(self) -> dict[str, Any]:
        """The error object itself: `{code, message, details}`."""
        return {"code": self.code, "message": self.message, "details": self.details}


class BadRequest(HubError):
    code = "bad_request"


class Malformed(HubError):
    code = "malformed"


class NotSignedIn(HubError):
    code = "not_signed_in"


class Forbidden(HubError):
    """The caller may know of the thing but not do this to it."""

    code = "forbidden"


class WrongScope(Forbidden):
    code = "wrong_scope"


class WrongOrigin(Forbidden):
    code = "wrong_origin"


class CsrfFailed(Forbidden):
    code = "csrf_failed"


class Acting(Forbidden):
    """An administrator who acts as somebody asked for what only that person may do."""

    code = "acting"


class ActingEnded(Forbidden):
    """The time to act as somebody is over, and the page does not know it yet."""

    code = "acting_ended"


class WrongPassword(Forbidden):
    code = "wrong_password"


class NotFound(HubError):
    """Absent, or foreign: the caller is not told which."""

    code = "not_found"


class MethodNotAllowed(HubError):
    code = "method_not_allowed"


class Conflict(HubError):
    code = "conflict"


class Exists(Conflict):
    code = "exists"


class LastOwner(Conflict):
    code = "last_owner"


class HoldsStorage(Conflict):
    """The project counts as the person's storage: they stay its owner until another one takes it over."""

    code = "holds_storage"


class LastAdministrator(Conflict):
    """The hub would have no administrator who can sign in."""

    code = "last_administrator"


class Yourself(Conflict):
    """An administrator would lock themselves out."""

    code = "yourself"


class TooLarge(HubError):
    code = "too_large"


class Invalid(HubError):
    """A value is of the right type but not acceptable; `details` may name the `field`."""

    code = "invalid"


class InvalidList(Invalid):
    """Lines of an uploaded list are not acceptable; `details` says which."""

    code = "invalid_list"


class TooMany(HubError):
    code = "too_many"


class QuotaExceeded(TooMany):
    """`details` has `quota`, `limit`, `used`, `unit`, `origin`, and of kernels those that count: `kernels`."""

    code = "quota_exceeded"

    def __init__(self, message: str = "", *, code: str | None = None, **details: Any) -> None:
        super().__init__(message, code=code, **details)
        QUOTA_REFUSALS.labels(str(details.get("quota", "other"))).inc()


class TooSlow(HubError):
    code = "too_slow"


class Unavailable(HubError):
    code = "unavailable"


class DiskFull(Unavailable):
    code = "disk_full"


_CODE_OF_STATUS: dict[int, str] = {
    400: "bad_request",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "invalid",
    429: "too_many",
    503: "unavailable",
}


def error_of_status(status: int) -> HubError:
    """The general error for an HTTP status that something other than the hub's own code answered."""
    return HubError(code=_CODE_OF_STATUS.get(status, "internal" if status >= 500 else "bad_request"))
