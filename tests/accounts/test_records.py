"""Django's own admin, for rare things: it shows no secret, and undoes no rule of the panel."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.asking import Asking, signed_in
from tests.cast import Cast, token_of
from zasper_hub.accounts.models import ApiToken, AuditEvent, Invitation, Team, User

RECORDS = "/admin/records/accounts"


@pytest.fixture
def root(cast: Cast) -> Client:
    return signed_in(cast.admin)


def test_it_shows_no_hash_of_a_password_token_or_invitation(cast: Cast, root: Client) -> None:
    token_of(cast.bob)
    Asking(cast.admin).post("/api/hub/v1/admin/invitations", {})
    token, invitation = ApiToken.objects.filter(user=cast.bob).get(), Invitation.objects.get()
    for path, secret in (
        (f"user/{cast.bob.pk}/change/", cast.bob.password),
        (f"apitoken/{token.pk}/change/", token.secret_hash),
        (f"invitation/{invitation.pk}/change/", invitation.token_hash),
    ):
        page = root.get(f"{RECORDS}/{path}")
        assert page.status_code == 200, path
        assert secret.encode() not in page.content
        assert secret[-12:].encode() not in page.content
    assert b"algorithm" not in root.get(f"{RECORDS}/user/{cast.bob.pk}/change/").content


def test_it_locks_nobody_out_and_deletes_nobody(cast: Cast, root: Client) -> None:
    assert root.post(f"{RECORDS}/user/{cast.bob.pk}/delete/", {"post": "yes"}).status_code == 403
    assert root.post(f"{RECORDS}/user/{cast.bob.pk}/password/").status_code == 403
    assert root.get(f"{RECORDS}/user/add/").status_code == 403
    root.post(
        f"{RECORDS}/user/{cast.admin.pk}/change/", {"display_name": "Root R.", "email": "r@example.org"}
    )
    me = User.objects.get(pk=cast.admin.pk)
    assert (me.display_name, me.is_active, me.is_staff, me.is_superuser) == ("Root R.", True, True, True)
    team = Team.objects.create(slug="lab", name="Lab")
    assert root.post(f"{RECORDS}/team/{team.pk}/delete/", {"post": "yes"}).status_code == 403


def test_what_is_changed_there_is_in_its_history_and_in_the_audit_log(cast: Cast, root: Client) -> None:
    root.post(f"{RECORDS}/user/{cast.bob.pk}/change/", {"display_name": "Bob B.", "email": ""})
    event = AuditEvent.objects.get(action="record_changed")
    assert (event.actor, event.target) == (cast.admin, f"user:{cast.bob.pk}")
    assert b"Changed" in root.get(f"{RECORDS}/user/{cast.bob.pk}/history/").content
