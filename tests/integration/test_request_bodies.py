"""Bodies that are too large end before they are on the disk, also those of people who are not signed in."""

from __future__ import annotations

import email
import json
import os
import shutil
import socket
from collections import namedtuple
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from daphne import http_protocol
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from notebooks_app.api.body_limit import JUPYTER_LIMIT_BYTES, PLAIN_LIMIT_BYTES
from tests.live_hub import LiveHub, running_hub
from zasper_hub import daphne_bodies
from zasper_hub.daphne_bodies import LINGER_S, LOOK_BYTES, BoundedRequest, has_room

pytestmark = pytest.mark.integration
MB = 1_000_000


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with running_hub(tmp_path_factory.mktemp("bodies") / "data", HUB_MAX_UPLOAD_MB="30") as started:
        yield started


class Sender:
    """A client that sends what it likes and reads what it is told."""

    def __init__(self, hub: LiveHub, path: str, *headers: str, method: str = "POST") -> None:
        self.socket = socket.create_connection(("127.0.0.1", hub.port), timeout=30)
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{hub.port}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())

    def send_until_told(self, data: bytes, *, at_most: int, in_chunks: bool = False) -> int:
        """How many bytes it sent before an answer came or the connection broke."""
        sent = 0
        self.socket.setblocking(True)
        while sent < at_most:
            try:
                if in_chunks:
                    self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))
                else:
                    self.socket.sendall(data)
            except OSError:
                break
            sent += len(data)
            self.socket.settimeout(0.001)
            try:
                if self.socket.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                pass
            except OSError:
                break
            self.socket.settimeout(30)
        self.socket.settimeout(30)
        return sent

    def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and body."""
        with self.socket, self.socket.makefile("rb") as stream:
            status = int(stream.readline().split()[1])
            headers = email.message_from_bytes(b"".join(iter(stream.readline, b"\r\n")))
            assert headers["Connection"] == "close"
            return status, json.loads(stream.read(int(headers["Content-Length"])))


def on_disk(hub: LiveHub) -> int:
    """Bytes of files that the web process holds open, those without a name too."""
    descriptors = Path(f"/proc/{hub.pid_of('web')}/fd")
    found = 0
    for link in descriptors.iterdir():
        try:
            if "/spool/" in str(link.readlink()):
                found += link.stat().st_size
        except OSError:
            continue
    return found


@pytest.mark.parametrize("path", ["/healthz", "/api/hub/v1/projects", "/nowhere"])
def test_an_endless_body_of_somebody_unknown_ends_at_the_limit(hub: LiveHub, path: str) -> None:
    sender = Sender(hub, path, "Transfer-Encoding: chunked")
    sent = sender.send_until_told(b"x" * MB, at_most=400 * MB, in_chunks=True)
    assert sent < PLAIN_LIMIT_BYTES + 64 * MB, "what lies in sockets, no more"
    assert on_disk(hub) <= PLAIN_LIMIT_BYTES
    status, body = sender.answer()
    assert (status, body["error"]["code"]) == (413, "too_large")


def test_what_says_that_it_is_too_large_is_refused_before_it_is_sent(hub: LiveHub) -> None:
    headers = ("Content-Length: 31457281", "Expect: 100-continue")
    status, body = Sender(hub, "/api/hub/v1/projects/x/files/a.bin", *headers, method="PUT").answer()
    assert (status, body["error"]["code"]) == (413, "too_large")
    status, body = Sender(
        hub, "/jupyter/t/p/api/contents/a", f"Content-Length: {JUPYTER_LIMIT_BYTES + 1}"
    ).answer()
    assert status == 413
    assert "larger than" in body["message"]


def test_who_goes_on_sending_is_cut_off(hub: LiveHub) -> None:
    sender = Sender(hub, "/healthz", "Content-Length: 5000000")
    sender.socket.settimeout(LINGER_S + 20)
    while sender.socket.recv(65536):
        pass  # the answer, then the end


def test_what_comes_in_one_go_with_its_head_is_answered_too(hub: LiveHub) -> None:
    sender = Sender(hub, "/healthz", "Content-Length: 5000000")
    sender.send_until_told(b"x" * MB, at_most=5 * MB)
    assert sender.answer()[0] == 413


def test_what_is_not_too_large_arrives(hub: LiveHub) -> None:
    with hub.client() as client:
        project = client.post("projects", json={"name": "Bodies"}).raise_for_status().json()
        content = os.urandom(29 * MB)
        address = f"projects/{project['id']}/files/large.bin"

        def pieces() -> Iterator[bytes]:
            yield content[: 10 * MB]
            yield content[10 * MB :]

        client.put(address, content=content).raise_for_status()
        client.put(address, content=pieces()).raise_for_status()
        assert client.get(address).content == content
        assert client.put(address, content=content + b"x" * 3 * MB).status_code == 413
        assert client.get(address).content == content


def test_no_body_is_kept_while_the_disk_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daphne_bodies, "has_room", lambda: False)
    monkeypatch.setattr(daphne_bodies, "LINGER_S", 0.0)
    monkeypatch.setattr(http_protocol, "WebRequest", BoundedRequest)

    class Server:
        """What a request of Daphne needs of it before its body is there."""

        def protocol_connected(self, protocol: object) -> None: ...

        def protocol_disconnected(self, protocol: object) -> None: ...

    def answer_to(head: str) -> bytes:
        protocol = http_protocol.HTTPFactory(Server()).buildProtocol(None)
        wire: Any = StringTransport()  # type: ignore[no-untyped-call]  # Twisted leaves it so
        protocol.makeConnection(wire)
        protocol.dataReceived(f"PUT /api/hub/v1/projects/x/files/a HTTP/1.1\r\n{head}\r\n\r\n".encode())
        told: bytes = wire.value()
        protocol.connectionLost(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]
        return told

    for head in ("Transfer-Encoding: chunked", f"Content-Length: {LOOK_BYTES + 1}"):
        told = answer_to(head)
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b'"disk_full"' in told
    assert answer_to("Content-Length: 5") == b"", "a small one is taken, in memory"


def test_a_disk_that_is_nearly_full_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    for total, free, room in (
        (100 << 30, 3 << 30, True),
        (100 << 30, 1 << 30, False),
        (1 << 30, 100 << 20, True),
        (1 << 30, 50 << 20, False),
    ):
        monkeypatch.setattr(shutil, "disk_usage", partial(lambda known, _: known, usage(total, 0, free)))
        assert has_room() is room
