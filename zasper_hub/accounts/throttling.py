"""Which name a sign-in was tried with, for axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest


def username_of(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """The username tried, in lower case: usernames differ in more than case."""
    given = (
        (credentials or {}).get("username") or request.POST.get("login") or request.POST.get("username") or ""
    )
    # No account has control characters in its name, and no database takes all of them.
    printable = "".join(character for character in str(given) if character.isprintable())
    return printable.strip().lower()[:150]
