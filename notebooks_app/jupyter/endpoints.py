"""How a Jupyter-compatible route is made: who may use it, method by method, and answers in Jupyter's shape.

kernels = Endpoint()

@kernels.on("GET", Need.VIEWER, Scope.READ)
def list_kernels(call: Call) -> HttpResponseBase: ...

patterns = [path("api/kernels", kernels)]
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Concatenate
from urllib.parse import quote

import structlog
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.http import http_date

from kernels_app.bus.transport import TransportError
from notebooks_app.access import project_at, role_in
from notebooks_app.api.conditions import ANY, tags_in
from notebooks_app.errors import Forbidden, HubError, NotFound, TooLarge, Unavailable
from notebooks_app.jupyter.json_bodies import MAX_JSON_BYTES, end_turn, read_json_body
from notebooks_app.models import Project, Role
from zasper_hub.accounts.authentication import Caller, caller_of_token
from zasper_hub.accounts.errors import BadRequest, MethodNotAllowed, NotSignedIn
from zasper_hub.accounts.models import User
from zasper_hub.accounts.outages import outage_of
from zasper_hub.accounts.permissions import Need, check_access
from zasper_hub.accounts.tokens import Scope, token_from_header

log = structlog.get_logger(__name__)

XSRF_COOKIE = "_xsrf"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Jupyter Server knows none of these two.
_STATUS_IN_JUPYTER = {401: 403, 422: 400}


class JupyterError(Exception):
    """An error with just the words and the status that Jupyter Server has for it."""

    def __init__(
        self, status: int, message: str, reason: str | None = None, *, short_message: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.short_message = short_message  # a heading, where Jupyter Server gives one


@dataclass(frozen=True)
class Call:
    """One request to a project's server by somebody who may make it."""

    request: HttpRequest
    project_address: str
    known_caller: Caller | None
    known_project: Project | None

    @property
    def caller(self) -> Caller:
        if self.known_caller is None:
            raise NotSignedIn
        return self.known_caller

    @property
    def user(self) -> User:
        return self.caller.user

    @property
    def project(self) -> Project:
        if self.known_project is None:
            raise NotSignedIn
        return self.known_project

    @cached_property
    def role(self) -> Role:
        return role_in(self.user, self.project.pk) or Role.VIEWER

    @property
    def client(self) -> str:
        """Names the program that calls, as far as it can be told: by its token or its login cookie."""
        if self.caller.token is not None:
            return f"token:{self.caller.token.pk}"
        return f"login:{_keyed('jupyter client', self.caller)[:32]}"

    @property
    def base_path(self) -> str:
        """`/jupyter/<team>/<project>/`, below the hub's base path."""
        return f"{settings.BASE_PATH}/jupyter/{self.project_address}/"

    def refuse_token_in_address(self) -> None:
        """Before a page is sent whose scripts run: they read their own address, and could send the token away.

        Raises:
            Forbidden
        """
        if self.request.GET.get("token"):
            raise Forbidden(
                "This page runs scripts, which could read a token in its address. Sign in with the browser, or send "
                "the token as the header `Authorization: token …`."
            )

    def argument(self, name: str) -> str | None:
        """The last value of a query argument."""
        return self.request.GET.get(name)

    def json_body(self, *, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
        """The body, an object; empty when there is none.

        Raises:
            BadRequest: it is no JSON object.
            TooLarge
        """
        body = self.optional_json_body(max_bytes=max_bytes)
        return {} if body is None else body

    def optional_json_body(self, *, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any] | None:
        """As `json_body`; None when there is no body."""
        return read_json_body(self.request, max_bytes=max_bytes)


Handler = Callable[Concatenate[Call, ...], HttpResponseBase]


@dataclass(frozen=True)
class Method:
    need: Need
    token_scope: Scope | None
    handler: Handler


class Endpoint:
    """The view of one address: a handler for each method, with what that needs."""

    # Checked here, as Jupyter's clients do it: their cookie and header are `_xsrf` and `X-XSRFToken`.
    csrf_exempt = True

    def __init__(self) -> None:
        self.methods: dict[str, Method] = {}

    def on(self, method: str, need: Need, token_scope: Scope | None = None) -> Callable[[Handler], Handler]:
        """Declares the handler of a method, for who is at least `need` in the project; tokens need the scope."""

        def add(handler: Handler) -> Handler:
            self.methods[method] = Method(need, token_scope, handler)
            return handler

        return add

    def __call__(self, request: HttpRequest, jupyter_project: str, **parameters: Any) -> HttpResponseBase:
        try:
            return self._answer(request, jupyter_project, parameters)
        except JupyterError as error:
            return error_answer(error.status, error.message, error.reason, error.short_message)
        except NotSignedIn as error:
            return _sign_in_page(request, jupyter_project) or hub_error_answer(error)
        except TransportError:
            return hub_error_answer(Unavailable("The hub's message server does not answer. Try again."))
        except HubError as error:
            return hub_error_answer(error)
        except RequestDataTooBig:
            return hub_error_answer(TooLarge())
        except (SuspiciousOperation, UnreadablePostError):
            return hub_error_answer(BadRequest())
        except Exception as error:
            outage = outage_of(error)
            if outage is not None:
                return hub_error_answer(outage)
            route = request.resolver_match.route if request.resolver_match else ""
            log.exception("request_crashed", method=request.method, route=route)
            return error_answer(500, "Unhandled error")
        finally:
            end_turn(request)

    def _answer(
        self, request: HttpRequest, jupyter_project: str, parameters: Mapping[str, Any]
    ) -> HttpResponseBase:
        method = self.methods.get(request.method or "")
        if method is None:
            raise MethodNotAllowed("Method Not Allowed")
        if method.need is Need.ANYONE:
            return method.handler(Call(request, jupyter_project, None, None), **parameters)
        caller = caller_of_call(request)
        # First the rights in the project: a foreign project is absent, whatever the rest of the address.
        check_access(
            caller, method.need, method.token_scope, {"jupyter_project": jupyter_project, **parameters}
        )
        call = Call(request, jupyter_project, caller, project_at(caller.user, jupyter_project))
        response = self.run(method, call, parameters)
        if request.method == "GET" and isinstance(response, JsonResponse) and response.status_code == 200:
            response = _unless_known(request, response)
        _give_xsrf_cookie(response, request, caller)
        return response

    def run(self, method: Method, call: Call, parameters: Mapping[str, Any]) -> HttpResponseBase:
        """Calls the handler: everything is checked."""
        return method.handler(call, **parameters)


def caller_of_call(request: HttpRequest) -> Caller:
    """Who calls: by `Authorization`, by `?token=` for what is only read, or by the login cookie with Jupyter's `_xsrf`.

    Raises:
        NotSignedIn
        Forbidden: by cookie, without the right `_xsrf`, for what may change something.
    """
    text = token_from_header(request.headers.get("Authorization", ""))
    if text is None and request.GET.get("token"):
        if request.method not in SAFE_METHODS:
            raise NotSignedIn(
                "Send the token as the header `Authorization: token …`: addresses are kept in logs."
            )
        text = request.GET["token"]
    if text:
        caller = caller_of_token(text)
        request.user = caller.user
        return caller
    user = request.user
    session_key = request.session.session_key
    if not isinstance(user, User) or session_key is None:
        raise NotSignedIn("Forbidden")
    caller = Caller(user=user, login_session_key=session_key)
    if request.method not in SAFE_METHODS:
        given = request.headers.get("X-XSRFToken") or request.GET.get(XSRF_COOKIE)
        if not given:
            raise Forbidden("'_xsrf' argument missing from POST")
        if not constant_time_compare(given, xsrf_token(caller)):
            raise Forbidden("XSRF cookie does not match POST argument")
    return caller


def xsrf_token(caller: Caller) -> str:
    """What a page must send to change something by the login cookie. Bound to that sign-in."""
    return _keyed("jupyter xsrf", caller)


def _keyed(salt: str, caller: Caller) -> str:
    return salted_hmac(salt, caller.login_session_key or "", algorithm="sha256").hexdigest()


def _give_xsrf_cookie(response: HttpResponseBase, request: HttpRequest, caller: Caller) -> None:
    if caller.token is not None:
        return
    token = xsrf_token(caller)
    if request.COOKIES.get(XSRF_COOKIE) != token:
        # Not HttpOnly: clients read it, and send it back as a header.
        response.set_cookie(
            XSRF_COOKIE,
            token,
            path=f"{settings.BASE_PATH}/jupyter/",
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )


def _unless_known(request: HttpRequest, response: JsonResponse) -> HttpResponseBase:
    """The answer with an entity tag; 304 to a client that has it."""
    tag = f'"{hashlib.sha256(response.content).hexdigest()}"'
    response["ETag"] = tag
    response.setdefault("Cache-Control", "private, no-cache")
    try:
        known = tags_in(request.headers.get("If-None-Match"))
    except BadRequest:  # as one that it does not have
        return response
    if tag.strip('"') not in known and ANY not in known:
        return response
    kept = ("ETag", "Cache-Control", "Last-Modified")
    return HttpResponse(status=304, headers={name: response[name] for name in kept if name in response})


def answer(
    data: Any, *, status: int = 200, location: str | None = None, modified_at_s: float | None = None
) -> JsonResponse:
    """A JSON answer. `location` is a path of this host, not escaped yet."""
    response = JsonResponse(data, status=status, safe=False)
    if location is not None:
        response["Location"] = escaped(location)
    if modified_at_s is not None:
        response["Last-Modified"] = http_date(modified_at_s)
    return response


def no_content() -> HttpResponse:
    response = HttpResponse(status=204)
    del response["Content-Type"]
    return response


def escaped(path: str) -> str:
    """A path as it stands in a URL; also `?`, `#` and `%` of names."""
    return quote(path, safe="/~")


def hub_error_answer(error: HubError) -> JsonResponse:
    """An error of the hub in Jupyter's shape."""
    status = _STATUS_IN_JUPYTER.get(error.status, error.status)
    if error.status >= 500:
        log.warning("request_failed", code=error.code)
    response = error_answer(status, error.message)
    if status in (429, 503):
        response["Retry-After"] = str(error.details.get("retry_after_s", 2))
    return response


def error_answer(
    status: int, message: str, reason: str | None = None, short_message: str | None = None
) -> JsonResponse:
    data = {"message": message, "reason": reason}
    return JsonResponse(
        data if short_message is None else {**data, "short_message": short_message}, status=status
    )


def _sign_in_page(request: HttpRequest, jupyter_project: str) -> HttpResponseBase | None:
    """Where a person goes who follows a link to a file with a browser before they sign in; None for programs."""
    is_page = not request.path.startswith(f"{settings.BASE_PATH}/jupyter/{jupyter_project}/api/")
    has_token = bool(request.headers.get("Authorization") or request.GET.get("token"))
    is_browser = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
    if not is_page or has_token or not is_browser:
        return None
    return redirect_to_login(request.get_full_path())


def _unknown(call: Call, rest: str) -> HttpResponseBase:
    """404; but many clients join the server's address and `/api` with two slashes, and are sent to one. Who asks with
    a slash at the end is sent to the address without, as Jupyter Server does it."""
    plain = rest.lstrip("/")
    status = 308
    if plain == rest:
        plain, status = rest.rstrip("/"), 302
        if plain == rest or call.request.method not in ("GET", "HEAD"):
            raise NotFound("Not Found")
    query = call.request.META.get("QUERY_STRING", "")
    target = escaped(call.base_path + plain) + (f"?{query}" if query else "")
    return HttpResponse(status=status, headers={"Location": target})


unknown_address = Endpoint()
for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
    unknown_address.on(_method, Need.ANYONE)(_unknown)
