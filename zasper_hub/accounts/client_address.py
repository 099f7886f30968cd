"""Whose address a request comes from, when trusted proxies stand before the hub."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


def address_behind(proxy_count: int, forwarded_for: str) -> str | None:
    """The address that the outermost of `proxy_count` trusted proxies saw; None when the header does not tell.

    Each proxy appends the address it was asked from. What is left of that a client may have made up.
    """
    addresses = [part.strip() for part in forwarded_for.split(",")]
    if proxy_count < 1 or len(addresses) < proxy_count:
        return None
    try:
        return str(ipaddress.ip_address(addresses[-proxy_count]))
    except ValueError:
        return None


class ClientAddress:
    """Middleware: `REMOTE_ADDR` is the client's, for the audit log and for throttling sign-ins by address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.PROXY_COUNT:
            found = address_behind(settings.PROXY_COUNT, request.headers.get("X-Forwarded-For", ""))
            if found is not None:
                request.META["REMOTE_ADDR"] = found
        return self.get_response(request)
