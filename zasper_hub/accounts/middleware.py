"""What every answer has: headers that bind the browser, one shape of API errors, and a note of who was seen."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from zasper_hub.accounts.api import error_response
from zasper_hub.accounts.errors import error_of_status
from zasper_hub.accounts.outages import outage_of
from zasper_hub.accounts.services.login_sessions import see_login_session

log = structlog.get_logger(__name__)

View = Callable[[HttpRequest], HttpResponseBase]

API_PREFIX = "/api/hub/"
ADMIN_PREFIX = "/admin/records/"

# Styles: CodeMirror and KaTeX set style attributes and rules from scripts; that needs 'unsafe-inline' for styles alone.
APP_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; frame-src 'self'; media-src 'self' blob:; manifest-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
# Pages without scripts of ours: sign-in, errors. Nothing but our stylesheet.
PLAIN_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Whatever is not a page: files, JSON, blobs. Opened in a tab, it runs nothing and belongs to no origin.
DATA_CSP = "sandbox; default-src 'none'; frame-ancestors 'none'"

SEEN_KEY = "seen_at"
SEEN_PRECISION_S = 300


class SecurityHeaders:
    """Sets the headers of rules 6 and 7 of the security rules on every answer that does not bring its own."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        headers = response.headers
        if "Content-Security-Policy" not in headers:
            headers["Content-Security-Policy"] = _policy_for(request, headers.get("Content-Type", ""))
            headers.setdefault("X-Frame-Options", "DENY")
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault(
            "Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
        )
        if request.path_info.startswith(API_PREFIX):
            headers.setdefault("Cache-Control", "no-store")
        return response


def _policy_for(request: HttpRequest, content_type: str) -> str:
    if not content_type.startswith("text/html"):
        return DATA_CSP
    if request.path_info.startswith("/accounts/"):
        return PLAIN_CSP
    return APP_CSP


class ApiErrorShape:
    """Turns whatever failed below the API's address without its shape (unknown route, wrong method) into its shape.

    Pages that fail because of an outage (a full disk) say so instead of blaming the hub.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Called by Django for what a view raised."""
        outage = outage_of(exception)
        if outage is None:
            return None
        log.error("page_failed", code=outage.code, method=request.method, reason=str(exception))
        if request.path_info.startswith(API_PREFIX):
            return error_response(outage)
        return render(request, "503.html", {"message": outage.message}, status=outage.status)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path_info.startswith(API_PREFIX):
            return response
        if response.headers.get("Content-Type", "").startswith("application/json"):
            return response
        shaped = error_response(error_of_status(response.status_code))
        for name in ("Allow", "Retry-After"):
            if name in response.headers:
                shaped.headers[name] = response.headers[name]
        return shaped


class SeenLoginSessions:
    """Notes, every five minutes, that a login session is in use."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not request.user.is_authenticated or request.session.session_key is None:
            return response
        now = timezone.now()
        if now.timestamp() - float(request.session.get(SEEN_KEY, 0)) > SEEN_PRECISION_S:
            request.session[SEEN_KEY] = now.timestamp()  # also renews the two weeks
            see_login_session(request.session.session_key, now)
        return response
