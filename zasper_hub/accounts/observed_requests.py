"""What is known of every HTTP request from outside its view: an id in all its log lines, and how long it took."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from zasper_hub.accounts.metrics import REQUEST_SECONDS

log = structlog.get_logger(__name__)

HEADER = "X-Request-ID"
# A proxy's own; anything else is not let into our log lines.
USABLE = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
AREAS = {"api": "api", "jupyter": "jupyter", "static": "static", "healthz": "health", "readyz": "health"}


class ObservedRequests:
    """The outermost middleware. The answer names the request's id: a person can tell it to an operator."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        request_id = given if USABLE.match(given) else secrets.token_hex(8)
        begun = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            took_s = time.perf_counter() - begun
            area = AREAS.get(request.path_info.strip("/").partition("/")[0], "pages")
            # Whatever word a client makes up is one series.
            method = request.method if request.method in _METHODS else "other"
            REQUEST_SECONDS.labels(area, method, f"{response.status_code // 100}xx").observe(took_s)
            match = request.resolver_match
            log.info(
                "request",
                method=method,
                # The pattern, not the path: a path may hold names a log should not have.
                route=match.route if match else "",
                status=response.status_code,
                milliseconds=round(took_s * 1000, 1),
            )
        response.headers[HEADER] = request_id
        return response


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
