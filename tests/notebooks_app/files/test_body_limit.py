"""Bodies that are too large are refused before they are kept; files stream both ways through ASGI."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler

from notebooks_app.api.body_limit import PLAIN_LIMIT_BYTES, BodyLimit, Message
from notebooks_app.storage.project_files import content_store
from tests.cast import Cast, headers_of

UPLOAD = "/api/hub/v1/projects/x/files/a"


class Client:
    """Speaks ASGI to an application: the chunks of one request, and what is answered."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.taken = 0
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.largest_part = 0

    async def receive(self) -> Message:
        if self.taken >= len(self.chunks):
            await asyncio.Event().wait()
        self.taken += 1
        return {
            "type": "http.request",
            "body": self.chunks[self.taken - 1],
            "more_body": self.taken < len(self.chunks),
        }

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message.get("body", b"")
            self.largest_part = max(self.largest_part, len(message.get("body", b"")))

    async def request(
        self, application: Any, method: str, path: str, headers: dict[str, str] | None = None
    ) -> int:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "server": ("testserver", 80),
            "client": ("127.0.0.1", 1),
        }
        async with asyncio.timeout(30):
            await application(scope, self.receive, self.send)
        return self.status


async def reads_all(scope: Message, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def code_of(client: Client) -> str:
    return str(json.loads(client.body)["error"]["code"])


async def test_an_announced_length_over_the_limit_is_refused_before_the_first_byte(settings: Any) -> None:
    settings.MAX_FILE_BYTES = 1000
    client = Client([b"x" * 1001])
    assert await client.request(BodyLimit(reads_all), "PUT", UPLOAD, {"Content-Length": "1001"}) == 413
    assert (client.taken, code_of(client)) == (0, "too_large")
    assert client.headers[b"connection"] == b"close"


async def test_a_body_that_does_not_tell_its_length_is_refused_at_the_limit(settings: Any) -> None:
    settings.MAX_FILE_BYTES = 1000
    client = Client([b"x" * 300] * 100)
    assert await client.request(BodyLimit(reads_all), "PUT", UPLOAD) == 413
    assert (client.taken, code_of(client)) == (4, "too_large")


async def test_bodies_that_are_no_files_have_a_limit_of_their_own() -> None:
    client = Client([b"x" * (PLAIN_LIMIT_BYTES + 1)])
    assert await client.request(BodyLimit(reads_all), "POST", "/api/hub/v1/projects") == 413
    assert await Client([b"x"]).request(BodyLimit(reads_all), "POST", "/api/hub/v1/projects") == 200
    lying = Client([b"x"])
    assert await lying.request(BodyLimit(reads_all), "POST", "/", {"Content-Length": "9" * 50}) == 413


async def test_a_disk_that_is_full_while_the_body_comes_in_is_said() -> None:
    async def full(scope: Message, receive: Any, send: Any) -> None:
        raise OSError(28, "No space left on device")

    client = Client([b"x"])
    assert await client.request(BodyLimit(full), "PUT", UPLOAD) == 503
    assert code_of(client) == "disk_full"


async def test_other_failures_are_not_hidden() -> None:
    async def broken(scope: Message, receive: Any, send: Any) -> None:
        raise OSError(5, "I/O error")

    with pytest.raises(OSError, match="I/O"):
        await Client([b"x"]).request(BodyLimit(broken), "PUT", UPLOAD)


@pytest.mark.django_db(transaction=True)
async def test_a_large_file_goes_up_and_comes_down_in_pieces(cast: Cast) -> None:
    application = BodyLimit(ASGIHandler())
    headers = await sync_to_async(headers_of)(cast.bob)
    path = f"/api/hub/v1/projects/{cast.project.pk}/files/big.bin"
    up = Client([bytes([number % 256]) * 1_000_000 for number in range(20)])
    assert await up.request(application, "PUT", path, {**headers, "Content-Length": "20000000"}) == 201
    entry = await sync_to_async(lambda: content_store(cast.project).entry("big.bin"))()
    assert entry.size_bytes == 20_000_000
    down = Client([b""])
    assert await down.request(application, "GET", path, headers) == 200
    assert down.body == b"".join(up.chunks)
    assert down.largest_part <= 256 * 1024
    part = Client([b""])
    assert await part.request(application, "GET", path, {**headers, "Range": "bytes=999999-1000000"}) == 206
    assert part.body == b"\x00\x01"
