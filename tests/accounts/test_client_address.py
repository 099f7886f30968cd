"""Behind the included proxy the address of a person is theirs, not the proxy's, and cannot be made up."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.test import Client, override_settings

from tests.cast import Cast
from zasper_hub.accounts.client_address import address_behind
from zasper_hub.accounts.models import AuditEvent


@pytest.mark.parametrize(
    ("proxy_count", "header", "expected"),
    [
        (0, "203.0.113.7", None),
        (1, "", None),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "10.9.9.9, 203.0.113.7", "203.0.113.7"),  # the client claims to be 10.9.9.9
        (2, "10.9.9.9, 203.0.113.7, 192.0.2.1", "203.0.113.7"),
        (2, "203.0.113.7", None),
        (1, "203.0.113.7, nonsense", None),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "<script>", None),
    ],
)
def test_the_address_is_the_one_that_the_outermost_trusted_proxy_saw(
    proxy_count: int, header: str, expected: str | None
) -> None:
    assert address_behind(proxy_count, header) == expected


@pytest.mark.django_db
@pytest.mark.parametrize(("proxy_count", "expected"), [(0, "127.0.0.1"), (1, "203.0.113.7")])
def test_the_audit_log_has_it(cast: Cast, proxy_count: int, expected: str) -> None:
    with override_settings(PROXY_COUNT=proxy_count):
        Client(headers={"X-Forwarded-For": "10.9.9.9, 203.0.113.7"}).post(
            django_settings.LOGIN_URL, {"login": "alice", "password": "wrong"}
        )
    assert AuditEvent.objects.order_by("-pk").values_list("address", flat=True).first() == expected
