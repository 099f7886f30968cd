"""Limits of what is tried from one address or by one person, counted once for all web processes; which name a sign-in
was tried with.

Counted is what has happened, by one atomic addition: a whole team that waits for its sign-ins at once has not failed,
and does not wait for each other. Sliding windows by two counters: the last period's counts by the share of it that is
not a period ago yet.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest

IPV6_NETWORK_BITS = 64  # what one customer of a provider has


@dataclass(frozen=True)
class Limit:
    """At most `count` from one address, or by one person, within `period_s`."""

    name: str
    count: int
    period_s: int = 60

    def is_reached(self, address: str, now_s: float) -> bool:
        return self.wait_s(address, now_s) > 0

    def wait_s(self, address: str, now_s: float) -> int:
        """After how many seconds it is not reached any more; 0 when it is not."""
        passed = now_s % self.period_s / self.period_s
        before, since = (cache.get(key, 0) for key in self._keys(address, now_s))
        if before * (1 - passed) + since < self.count:
            return 0
        # What counts becomes less evenly: the tries of before in this period, those since then in the next one.
        free_at = 1 - (self.count - since) / before if since < self.count else 2 - self.count / since
        return int((free_at - passed) * self.period_s) + 1

    def note(self, address: str, now_s: float) -> None:
        """One more."""
        _, key = self._keys(address, now_s)
        cache.add(key, 0, timeout=2 * self.period_s)
        try:
            cache.incr(key)
        except ValueError:  # what counts was lost in between
            cache.set(key, 1, timeout=2 * self.period_s)

    def _keys(self, address: str, now_s: float) -> tuple[str, str]:
        """Of the last period and of this one."""
        period = int(now_s // self.period_s)
        return f"{self.name}:{address}:{period - 1}", f"{self.name}:{address}:{period}"


# A team of hundreds behind one router signs in within a minute; wrong passwords are another matter.
SIGN_INS = Limit("sign-ins", 1200)
FAILED_SIGN_INS = Limit("failed-sign-ins", 60)
LINKS = Limit("links", 30)
# By one person who is signed in already: a stolen cookie or token must not find out the password.
WRONG_PASSWORDS = Limit("wrong-passwords", 8, period_s=300)


def clock_s() -> float:
    return time.time()


def counted_address(request: HttpRequest) -> str:
    """The client's address; of an IPv6 address its network."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    try:
        if ipaddress.ip_address(address).version == 6:
            return str(ipaddress.ip_network(f"{address}/{IPV6_NETWORK_BITS}", strict=False).network_address)
    except ValueError:
        return "unknown"  # a unix socket's, for one
    return address


def username_of(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """The username tried, in lower case: usernames differ in more than case."""
    given = (
        (credentials or {}).get("username") or request.POST.get("login") or request.POST.get("username") or ""
    )
    # No account has control characters in its name, and no database takes all of them.
    printable = "".join(character for character in str(given) if character.isprintable())
    return printable.strip().lower()[:150]
