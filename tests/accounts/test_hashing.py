"""Passwords are kept by Argon2id, those of earlier versions too once they were used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client, override_settings

from zasper_hub.accounts.models import User
from zasper_hub.accounts.services import create_person
from zasper_hub.settings.people import PASSWORD_HASHERS

PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.django_db


@pytest.fixture
def hashers() -> Iterator[None]:
    with override_settings(PASSWORD_HASHERS=PASSWORD_HASHERS):
        yield


def sign_in(username: str, password: str) -> bool:
    client = Client()
    client.post("/accounts/login/", {"login": username, "password": password})
    return "_auth_user_id" in client.session


@pytest.mark.usefixtures("hashers")
def test_a_new_password_is_kept_by_argon2id_and_signs_in() -> None:
    person = create_person(username="alice", password=PASSWORD)
    assert person.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert not sign_in("alice", "wrong")
    assert sign_in("alice", PASSWORD)


@pytest.mark.usefixtures("hashers")
def test_a_password_of_an_earlier_version_signs_in_and_is_then_kept_anew() -> None:
    person = create_person(username="alice", password=PASSWORD)
    old = make_password(PASSWORD, hasher="pbkdf2_sha256")
    User.objects.filter(pk=person.pk).update(password=old)
    assert not sign_in("alice", "wrong")
    person.refresh_from_db()
    assert person.password == old
    assert sign_in("alice", PASSWORD)
    person.refresh_from_db()
    assert person.password.startswith("argon2$")
