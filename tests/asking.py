"""A person who asks the hub API, by token or by cookie."""

from __future__ import annotations

from typing import Any

from django.test import Client

from tests.cast import PASSWORD, headers_of
from zasper_hub.accounts.models import User


class Asking:
    """Sends requests of one person, with a token of all their scopes."""

    def __init__(self, person: User) -> None:
        self.headers = headers_of(person)

    def get(self, path: str, **query: str | int) -> Any:
        return Client().get(path, query, headers=self.headers)

    def post(self, path: str, body: object = None) -> Any:
        return Client().post(path, body or {}, content_type="application/json", headers=self.headers)

    def patch(self, path: str, body: object) -> Any:
        return Client().patch(path, body, content_type="application/json", headers=self.headers)

    def delete(self, path: str) -> Any:
        return Client().delete(path, headers=self.headers)


def signed_in(person: User, password: str = PASSWORD) -> Client:
    """A browser in which the person has signed in at the page."""
    client = Client()
    answer = client.post("/accounts/login/", {"login": person.username, "password": password})
    assert answer.status_code == 302, answer.content
    return client
