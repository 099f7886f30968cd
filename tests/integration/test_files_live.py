"""Files of a running hub: large ones, the example project, and what kernels make."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import websockets

from tests.live_hub import LiveHub, wait_for

pytestmark = pytest.mark.integration
CHUNK = bytes(range(256)) * 4096  # 1 MB
LARGE_MB = 300


@pytest.fixture(scope="module")
def client(hub: LiveHub) -> Iterator[httpx.Client]:
    with hub.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def project_id(client: httpx.Client) -> str:
    """Of the project that every new account has."""
    [first] = [project for project in client.get("projects").json() if project["name"] == "First steps"]
    return str(first["id"])


def test_the_example_project_opens(client: httpx.Client, project_id: str) -> None:
    opened = client.post(f"projects/{project_id}/documents", json={"path": "Diabetes study.ipynb"})
    assert opened.status_code == 200, opened.text
    notebook = client.get(f"documents/{opened.json()['id']}/notebook").json()
    assert len(notebook["cells"]) >= 25


def test_a_large_file_passes_with_little_memory(hub: LiveHub, client: httpx.Client, project_id: str) -> None:
    web = psutil.Process(hub.pid_of("web"))
    client.put(f"projects/{project_id}/files/warm", content=CHUNK)
    before_bytes = web.memory_info().rss
    digest = hashlib.sha256()
    url = f"projects/{project_id}/files/large.bin"
    peak_bytes = 0

    def chunks() -> Iterator[bytes]:
        nonlocal peak_bytes
        for number in range(LARGE_MB):
            if number % 20 == 0:
                peak_bytes = max(peak_bytes, web.memory_info().rss)
            digest.update(CHUNK)
            yield CHUNK

    written = client.put(
        url, content=chunks(), headers={"Content-Length": str(LARGE_MB * len(CHUNK))}, timeout=120
    )
    assert written.status_code == 201, written.text
    assert written.json()["entry"]["etag"] == digest.hexdigest()
    received = hashlib.sha256()
    with client.stream("GET", url, timeout=120) as response:
        parts = response.iter_bytes()
        received.update(next(parts))
        # A client that reads slowly: what it has not taken yet waits in the file, not in the hub's memory.
        wait_for("the hub is done with the others", lambda: client.get("me").status_code == 200)
        peak_bytes = max(peak_bytes, web.memory_info().rss)
        for chunk in parts:
            received.update(chunk)
            peak_bytes = max(peak_bytes, web.memory_info().rss)
    assert received.hexdigest() == digest.hexdigest()
    assert peak_bytes - before_bytes < 100_000_000


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    response = client.post("projects", content=b"x" * 5_000_000, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


async def test_a_file_that_a_kernel_makes_is_hinted_soon(
    hub: LiveHub, client: httpx.Client, project_id: str
) -> None:
    folder: Path = hub.data_dir / "projects" / project_id
    url = f"{hub.url.replace('http', 'ws')}/ws/projects/{project_id}"
    headers = {"Authorization": client.headers["Authorization"]}
    async with asyncio.timeout(20), websockets.connect(url, additional_headers=headers) as socket:
        assert json.loads(await socket.recv()) == {"type": "files", "path": ""}
        (folder / "made-by-a-kernel.csv").write_text("x")
        assert json.loads(await socket.recv()) == {"type": "files", "path": ""}


async def test_every_announcement_is_hinted_to_who_has_a_page_open(
    hub: LiveHub, client: httpx.Client, project_id: str
) -> None:
    url = f"{hub.url.replace('http', 'ws')}/ws/projects/{project_id}"
    headers = {"Authorization": client.headers["Authorization"]}
    async with asyncio.timeout(60), websockets.connect(url, additional_headers=headers) as socket:
        await socket.recv()  # it listens
        for number in range(4):
            body = {"text": f"Backups run at {18 + number}:00."}
            announced = await asyncio.to_thread(client.post, "admin/announcements", json=body)
            assert announced.status_code == 201, announced.text
            async with asyncio.timeout(10):
                while json.loads(await socket.recv()) != {"type": "announcements"}:
                    pass  # files of the tests before
