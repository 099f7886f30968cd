"""What people and programs do wrong, on a running hub: a clear error, everyone else undisturbed, nothing lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets

from notebooks_app.sync.frames import Kind
from tests.live_hub import LiveHub, running_hub, wait_for
from tests.notebook_files import notebook_file, stream_text

pytestmark = pytest.mark.integration

BAD_KERNELSPECS: dict[str, list[str]] = {
    "ghost": ["/nowhere/bin/ghost-kernel", "{connection_file}"],
    "short": [
        "/bin/sh",
        "-c",
        "echo 'no licence in /srv/secret/licence.key' >&2; exit 3",
        "{connection_file}",
    ],
}
ENDED = ("ok", "error", "aborted", "cancelled", "interrupted", "died", "not_run")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    folder = tmp_path_factory.mktemp("bad")
    for name, argv in BAD_KERNELSPECS.items():
        (folder / "kernels" / name).mkdir(parents=True)
        content = json.dumps({"argv": argv, "display_name": name.title(), "language": "none"})
        (folder / "kernels" / name / "kernel.json").write_text(content)
    (folder / "kernels" / "broken").mkdir()
    (folder / "kernels" / "broken" / "kernel.json").write_text("{not json")
    with running_hub(folder / "data", NODE_KERNEL_PATH=str(folder / "kernels")) as started:
        for name in ("carol", "mallory"):
            started.add_person(name)
        yield started


@pytest.fixture(scope="module")
def client(hub: LiveHub) -> Iterator[httpx.Client]:
    with hub.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def project_id(client: httpx.Client) -> str:
    made = client.post("projects", json={"name": "Bad input"}).raise_for_status().json()
    client.post(
        f"projects/{made['id']}/members", json={"username": "carol", "role": "viewer"}
    ).raise_for_status()
    return str(made["id"])


@pytest.fixture(autouse=True)
def undisturbed(hub: LiveHub, client: httpx.Client, project_id: str) -> Iterator[None]:
    """Beside every test a notebook of someone else runs; no program of the hub ends, and nothing tells a folder."""
    programs = ("web", "recorder", "worker", "node", "valkey")
    before = {name: hub.pid_of(name) for name in programs}
    document_id = open_notebook(
        client, project_id, "beside.ipynb", "import time\ntime.sleep(1)\nprint('beside')"
    )
    run_id = (
        client.post(f"documents/{document_id}/runs", json={"cells": "all"})
        .raise_for_status()
        .json()["run_ids"][0]
    )
    yield
    assert ended_run(client, document_id, run_id)["state"] == "ok"
    notebook = client.get(f"documents/{document_id}/notebook").raise_for_status().json()
    assert stream_text(notebook["cells"][0]) == "beside\n"
    assert {name: hub.pid_of(name) for name in programs} == before


def open_notebook(
    client: httpx.Client, project_id: str, path: str, *sources: str, kernelspec_name: str = "python3"
) -> str:
    content = notebook_file(*sources, kernelspec_name=kernelspec_name)
    client.put(f"projects/{project_id}/files/{path}", content=content).raise_for_status()
    opened = client.post(f"projects/{project_id}/documents", json={"path": path}).raise_for_status()
    return str(opened.json()["id"])


def ended_run(
    client: httpx.Client, document_id: str, run_id: str, *, timeout_s: float = 40
) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        runs = client.get(f"documents/{document_id}/runs").raise_for_status().json()
        return next((run for run in runs if run["id"] == run_id and run["state"] in ENDED), None)

    return wait_for("the run ends", look, timeout_s=timeout_s)


def notebook_of(client: httpx.Client, document_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"documents/{document_id}/notebook").raise_for_status().json()
    return found


def runs_of(client: httpx.Client, document_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"documents/{document_id}/runs").raise_for_status().json()
    return found


def error_of(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text
    return str(error["message"])


# Notebooks


HUGE = notebook_file("x" * 100_000_000)


@pytest.mark.parametrize(
    ("content", "status", "code", "words"),
    [
        (b"hello", 422, "not_a_notebook", "not valid JSON"),
        (b"[" * 100_000, 422, "not_a_notebook", "not valid JSON"),
        (b'{"a": 1}', 422, "not_a_notebook", "which notebook format"),
        (
            b'{"nbformat": 3, "nbformat_minor": 0, "worksheets": [], "metadata": {}}',
            422,
            "notebook_too_old",
            "nbconvert",
        ),
        (HUGE, 413, "notebook_too_large", "50 MB"),
    ],
    ids=["no-json", "deep", "no-nbformat", "v3", "100-mb"],
)
def test_what_is_no_notebook_is_refused_with_its_reason(
    hub: LiveHub, client: httpx.Client, project_id: str, content: bytes, status: int, code: str, words: str
) -> None:
    url = f"projects/{project_id}/files/odd.ipynb"
    client.put(url, content=content).raise_for_status()
    web = psutil.Process(hub.pid_of("web"))
    before_bytes = web.memory_info().rss
    message = error_of(
        client.post(f"projects/{project_id}/documents", json={"path": "odd.ipynb"}), status, code
    )
    assert words in message
    assert web.memory_info().rss - before_bytes < 80 << 20
    # It stays what it was, and can be downloaded.
    assert client.get(url).raise_for_status().content == content


# Kernels


@pytest.mark.parametrize("name", ["fortran", "broken"])
def test_a_kernelspec_that_is_not_there_is_refused_with_those_there_are(
    client: httpx.Client, project_id: str, name: str
) -> None:
    document_id = open_notebook(client, project_id, f"{name}.ipynb", "1", kernelspec_name=name)
    answer = client.post(f"documents/{document_id}/runs", json={"cells": "all"})
    message = error_of(answer, 422, "unknown_kernelspec")
    assert name in message
    assert "python3" in answer.text
    assert client.get(f"documents/{document_id}/runs").json() == []
    # The way out works.
    client.put(f"documents/{document_id}/kernel", json={"kernelspec_name": "python3"}).raise_for_status()
    run_id = (
        client.post(f"documents/{document_id}/runs", json={"cells": "all"})
        .raise_for_status()
        .json()["run_ids"][0]
    )
    assert ended_run(client, document_id, run_id)["state"] == "ok"


@pytest.mark.parametrize(
    ("name", "words"),
    [("ghost", "The program of the kernel “Ghost” is not installed"), ("short", "no licence")],
)
def test_a_kernel_that_cannot_live_fails_with_its_reason(
    client: httpx.Client, project_id: str, name: str, words: str
) -> None:
    document_id = open_notebook(client, project_id, f"{name}.ipynb", "1", "2", kernelspec_name=name)
    run_ids = (
        client.post(f"documents/{document_id}/runs", json={"cells": "all"})
        .raise_for_status()
        .json()["run_ids"]
    )
    assert [ended_run(client, document_id, run_id)["state"] for run_id in run_ids] == ["not_run", "not_run"]
    kernel = wait_for(
        "the kernel has ended",
        lambda: (
            (found := client.get(f"documents/{document_id}").json()["kernel"])["state"] == "failed" and found
        ),
    )
    assert words in kernel["reason"]
    assert "/nowhere" not in kernel["reason"]
    assert "/srv" not in kernel["reason"]
    assert all(
        one["document"]["id"] != document_id for one in client.get("kernels").json() if one["document"]
    )


def test_a_run_on_a_dead_kernel_gets_a_new_one(client: httpx.Client, project_id: str) -> None:
    document_id = open_notebook(client, project_id, "dead.ipynb", "import os\nos._exit(7)", "print('again')")

    def run(cell: str) -> dict[str, Any]:
        answer = client.post(f"documents/{document_id}/runs", json={"cells": [cell]}).raise_for_status()
        return ended_run(client, document_id, answer.json()["run_ids"][0])

    assert run("cell-0")["state"] == "died"
    kernel = client.get(f"documents/{document_id}").json()["kernel"]
    assert kernel["state"] == "died"
    assert "exit code 7" in kernel["reason"]
    error_of(client.post(f"documents/{document_id}/interrupt"), 409, "kernel_not_running")
    assert run("cell-1")["state"] == "ok"


# Frames


def address(hub: LiveHub, path: str, client: httpx.Client) -> tuple[str, dict[str, str]]:
    return f"ws{hub.url.removeprefix('http')}{path}", {"Authorization": client.headers["Authorization"]}


def frame(kind: Kind, payload: bytes) -> bytes:
    return bytes([kind]) + payload


def numbered(number: int, update: bytes) -> bytes:
    return frame(Kind.UPDATE, number.to_bytes(4, "big") + update)


async def received(socket: websockets.ClientConnection, kind: Kind) -> bytes:
    """The next frame of this kind."""
    async with asyncio.timeout(20):
        while True:
            data = await socket.recv()
            assert isinstance(data, bytes)
            if data[0] == kind:
                return data[1:]
            if data[0] == Kind.ECHO:
                await socket.send(data)


async def answered(socket: websockets.ClientConnection, sent: bytes | str) -> bytes:
    await socket.send(sent)
    return await received(socket, Kind.ACK)


async def test_hostile_frames_cost_their_sender_only(
    hub: LiveHub, client: httpx.Client, project_id: str
) -> None:
    document_id = open_notebook(client, project_id, "frames.ipynb", "a = 1")
    before = notebook_of(client, document_id)
    url, headers = address(hub, f"/ws/documents/{document_id}", client)
    async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:
        await received(socket, Kind.HELLO)
        # No valid update: refused by name, the connection stays.
        for number, update in enumerate(
            [b"", b"\xff" * 50, b"\x01\x01\xff\xff\xff\xff\x0f\x00", b"\x00" * 3], start=1
        ):
            await socket.send(numbered(number, update))
            refusal = await received(socket, Kind.REFUSED)
            assert int.from_bytes(refusal[:4], "big") == number
            assert json.loads(refusal[4:])["code"] == "malformed"
        # Larger than an update may be: the same.
        await socket.send(numbered(9, b"\x00" * (9 << 20)))
        assert json.loads((await received(socket, Kind.REFUSED))[4:])["code"] == "too_large"
        # Larger than a frame may be: this connection ends.
        with pytest.raises(websockets.ConnectionClosed):
            await answered(socket, numbered(10, b"\x00" * (17 << 20)))
    # A frame of no kind, nothing at all, and text: refused, the connection stays.
    async with websockets.connect(url, additional_headers=headers) as socket:
        await received(socket, Kind.HELLO)
        for odd in (b"\x63nonsense", b"", "text"):
            await socket.send(odd)
            refusal = await received(socket, Kind.REFUSED)
            assert (int.from_bytes(refusal[:4], "big"), json.loads(refusal[4:])["code"]) == (0, "malformed")
    # Another epoch: told so, after accept.
    async with websockets.connect(f"{url}?epoch=other", additional_headers=headers) as socket:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await received(socket, Kind.SYNC)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4409
    assert notebook_of(client, document_id) == before


async def test_a_viewers_frames_change_nothing(hub: LiveHub, client: httpx.Client, project_id: str) -> None:
    document_id = open_notebook(client, project_id, "seen.ipynb", "a = 1")
    before = notebook_of(client, document_id)
    with hub.client("carol") as carol:
        url, headers = address(hub, f"/ws/documents/{document_id}", carol)
        async with websockets.connect(url, additional_headers=headers) as socket:
            await received(socket, Kind.HELLO)
            await socket.send(numbered(1, b"\x00\x00"))
            assert json.loads((await received(socket, Kind.REFUSED))[4:])["code"] == "viewer"
        url, headers = address(hub, f"/ws/runs/{document_id}", carol)
        async with websockets.connect(url, additional_headers=headers) as socket:
            await socket.send(json.dumps({"type": "resume", "seq": 0}))
            cells = [{"cell_id": "cell-0", "source": "open('/tmp/x', 'w')"}]
            await socket.send(json.dumps({"type": "run", "request_id": "r", "cells": cells}))
            async with asyncio.timeout(20):
                while (message := json.loads(await socket.recv()))["type"] != "refused":
                    pass
            assert message["error"]["code"] == "viewer"
    assert runs_of(client, document_id) == []
    assert notebook_of(client, document_id) == before


async def test_sockets_of_foreign_and_absent_documents_are_refused_alike(
    hub: LiveHub, client: httpx.Client, project_id: str
) -> None:
    document_id = open_notebook(client, project_id, "secret.ipynb", "a = 1")
    answers = set()
    with hub.client("mallory") as mallory:
        for identity in (document_id, "00000000-0000-4000-8000-000000000000"):
            for kind in ("documents", "runs"):
                url, headers = address(hub, f"/ws/{kind}/{identity}", mallory)
                with pytest.raises(websockets.InvalidStatus) as refused:
                    async with websockets.connect(url, additional_headers=headers):
                        pass
                answers.add((refused.value.response.status_code, bytes(refused.value.response.body)))
            answer = mallory.get(f"documents/{identity}")
            assert answer.status_code == 404
            assert identity not in answer.text
    assert len(answers) == 1


# Names and paths


@pytest.mark.parametrize(
    "path",
    [
        "../other",
        "..%2f..%2fdb.sqlite3",
        "a/../../db.sqlite3",
        "%2fetc%2fpasswd",
        "a%00b",
        "..%5c..%5cx",
        ".git/config",
        "%2e%2e/%2e%2e/secret_key",
    ],
)
def test_no_path_leads_out_of_the_project(
    hub: LiveHub, client: httpx.Client, project_id: str, path: str
) -> None:
    url = httpx.URL(f"{hub.url}/api/hub/v1/projects/{project_id}/files/").copy_with(
        raw_path=f"/api/hub/v1/projects/{project_id}/files/{path}".encode()
    )
    before = sorted(str(one) for one in Path(hub.data_dir).glob("*"))
    for method in ("GET", "PUT", "DELETE"):
        error_of(client.request(method, url, content=b"x" if method == "PUT" else None), 404, "not_found")
    assert sorted(str(one) for one in Path(hub.data_dir).glob("*")) == before
