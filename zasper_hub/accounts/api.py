"""The hub API: one NinjaAPI whose failures all have one shape, `{"error": {code, message, details}}`."""

from __future__ import annotations

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from zasper_hub.accounts.errors import (
    BadRequest,
    HubError,
    Invalid,
    NotFound,
    NotSignedIn,
    QuotaExceeded,
    TooLarge,
    error_of_status,
)
from zasper_hub.accounts.outages import outage_of
from zasper_hub.accounts.permissions import Need, needs

log = structlog.get_logger(__name__)

_SHOWN_PROBLEMS = 20  # a body of a million wrong items is not answered with a million sentences

hub_api = NinjaAPI(
    title="Zasper Hub",
    version="1",
    description="Projects, files, notebooks, runs and kernels of a Zasper Hub.",
    urls_namespace="hub_api",
    docs_url=None,  # its page loads scripts from elsewhere; the document itself is enough
    # A route that declares nothing is open to administrators by cookie only, and fails the tests.
    auth=needs(Need.STAFF),
)


def error_response(error: HubError) -> JsonResponse:
    """The HTTP answer for an error."""
    response = JsonResponse({"error": error.as_json()}, status=error.status)
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if error.status in (429, 503) and not isinstance(error, QuotaExceeded):  # a quota does not free itself
        response["Retry-After"] = str(error.details.get("retry_after_s", 2))
    return response


@hub_api.exception_handler(HubError)
def _hub_error(request: HttpRequest, error: HubError) -> HttpResponse:
    if error.status >= 500:
        log.warning("request_failed", code=error.code, method=request.method, route=_route(request))
    return error_response(error)


@hub_api.exception_handler(ValidationError)
def _validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    problems = [
        {"field": ".".join(str(part) for part in problem["loc"][1:]), "problem": str(problem["msg"])}
        for problem in error.errors[:_SHOWN_PROBLEMS]
    ]
    first = problems[0] if problems else {"field": "", "problem": "A value is not acceptable."}
    message = f"{first['field']}: {first['problem']}" if first["field"] else first["problem"]
    return error_response(Invalid(message, problems=problems))


@hub_api.exception_handler(AuthenticationError)
def _authentication_error(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return error_response(NotSignedIn())


@hub_api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code == 400:
        return error_response(BadRequest("The body is not valid JSON."))
    return error_response(error_of_status(error.status_code))


@hub_api.exception_handler(Http404)
def _http_404(request: HttpRequest, error: Http404) -> HttpResponse:
    return error_response(NotFound())


@hub_api.exception_handler(RequestDataTooBig)
def _too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return error_response(TooLarge("The body is larger than this address accepts."))


@hub_api.exception_handler(SuspiciousOperation)
def _suspicious(request: HttpRequest, error: SuspiciousOperation) -> HttpResponse:
    return error_response(BadRequest())


@hub_api.exception_handler(UnreadablePostError)
def _cut_off(request: HttpRequest, error: UnreadablePostError) -> HttpResponse:
    return error_response(BadRequest("The body ended before all of it had arrived."))


@hub_api.exception_handler(Exception)
def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    outage = outage_of(error)
    if outage is not None:
        log.error(
            "request_failed",
            code=outage.code,
            method=request.method,
            route=_route(request),
            reason=str(error),
        )
        return error_response(outage)
    if "NUL (0x00)" in str(error):  # PostgreSQL's word for a text that it cannot hold
        return error_response(Invalid("A text has a NUL character. Take it out and try again."))
    log.exception("request_crashed", method=request.method, route=_route(request))
    return error_response(HubError())


def _route(request: HttpRequest) -> str:
    """The route's pattern, not the path: a path may hold names a log should not have."""
    return request.resolver_match.route if request.resolver_match else ""
