"""A project's Jupyter-compatible server as one client of it sees it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.test import Client

from tests.cast import Cast, headers_of
from zasper_hub.accounts.models import User

SECRET_WORDS = ("/tmp", "projects/", "Traceback", "Errno", "site-packages")


def body(response: HttpResponseBase) -> bytes:
    if isinstance(response, StreamingHttpResponse):
        return b"".join(response)
    return bytes(response.content)  # type: ignore[attr-defined]  # HttpResponse


class Server:
    """One client: a person with one token."""

    def __init__(self, cast: Cast, user: User, *scopes: str) -> None:
        self.client = Client(headers=headers_of(user, *scopes))
        self.base = "/jupyter/alice/analysis/"

    def call(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        """`path` is below the server's root and escaped already."""
        sent = data if isinstance(data, bytes | str) else "" if data is None else json.dumps(data)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.generic(
            method, self.base + path, sent, content_type="application/json", headers=named
        )
        if response.status_code >= 400:
            text = body(response).decode()
            assert not any(word in text for word in SECRET_WORDS), text
        return response

    def get(self, path: str, query: str = "") -> Any:
        return self.call("GET", f"api/contents/{quote(path)}{query}")

    def put(self, path: str, **fields: Any) -> Any:
        return self.call("PUT", f"api/contents/{quote(path)}", fields)

    def post(self, path: str, **fields: Any) -> Any:
        return self.call("POST", f"api/contents/{quote(path)}", fields)

    def rename(self, path: str, target: str) -> Any:
        return self.call("PATCH", f"api/contents/{quote(path)}", {"path": target})

    def delete(self, path: str) -> Any:
        return self.call("DELETE", f"api/contents/{quote(path)}")

    def model(self, path: str, query: str = "") -> Any:
        response = self.get(path, query)
        assert response.status_code == 200, body(response)
        return json.loads(body(response))

    def notebook(self, path: str) -> Any:
        return self.model(path)["content"]

    def save(self, path: str, content: Any) -> Any:
        return self.put(path, type="notebook", format="json", content=content)
