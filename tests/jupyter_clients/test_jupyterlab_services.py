"""JupyterLab's own client library (@jupyterlab/services, in Node) at a hub: files, sessions, comms, terminals."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import Any

import httpx
import psutil
import pytest

from tests.jupyter_clients.project_server import CLIENTS, ProjectServer
from tests.live_hub import ADMIN, LiveHub

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def seen(server: ProjectServer) -> Any:
    done = subprocess.run(
        ["node", str(CLIENTS / "services.mjs"), server.url, server.token],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{server.hub.logs()}"
    return json.loads(done.stdout.splitlines()[-1])  # the library talks before it


def test_files_are_saved_and_read(seen: Any) -> None:
    data = "héllo 😀\n".encode()
    assert seen["saved"] == {"path": "notes.txt", "type": "file", "size": len(data), "writable": True}
    assert seen["read"].encode() == data
    assert seen["hash"] == hashlib.sha256(data).hexdigest()
    assert seen["picture"] is True


def test_an_upload_in_parts_arrives_whole(seen: Any) -> None:
    assert seen["large"] is True


def test_the_download_address_works(seen: Any, server: ProjectServer) -> None:
    assert (
        httpx.get(seen["downloadUrl"], headers={"Authorization": f"token {server.token}"}).content[1:2]
        == b"\xff"
    )


def test_files_are_made_copied_renamed_and_deleted(seen: Any) -> None:
    assert (seen["untitled"], seen["folder"]) == ("Untitled.ipynb", "Untitled Folder")
    assert seen["copied"] == "Untitled Folder/notes.txt"
    assert seen["renamed"] == "Untitled Folder/renamed #1.txt"
    assert seen["names"] == ["notes.txt", "renamed #1.txt"]
    assert seen["gone"]["status"] == 404
    assert seen["taken"]["status"] == 409


def test_a_notebook_goes_back_to_its_checkpoint(seen: Any) -> None:
    assert (seen["worse"], seen["restored"]) == ("worse", "1 + 1")
    assert (seen["checkpoints"], seen["checkpointsAfter"]) == (["checkpoint"], 0)


def test_who_is_there_and_what_runs_is_told(seen: Any) -> None:
    assert seen["identity"] == ADMIN
    assert seen["defaultKernelspec"] == "python3"
    assert seen["kernelspec"]["language"] == "python"
    assert not any(argument.startswith("/") for argument in seen["kernelspec"]["argv"])
    assert seen["logo"] == {"status": 200, "type": "image/png"}
    assert {"html", "markdown", "script"} <= set(seen["formats"])
    assert seen["config"] == {"cells": {"theme": "dark"}}


def test_a_session_runs_code_asks_and_completes(seen: Any) -> None:
    assert seen["ran"] == {"status": "ok", "text": "42\n"}
    assert seen["failed"] == "error"
    assert "hello Ada\n" in seen["asked"]
    assert "import" in seen["completed"]


def test_comm_messages_pass_both_ways_with_their_buffers(seen: Any) -> None:
    assert seen["comm"] == {"data": {"got": [1, 2, 3]}, "bytes": [9, 8]}


def test_a_session_is_restarted_moved_and_ended(seen: Any) -> None:
    assert seen["fresh"] == "False\n"
    assert (seen["sessions"], seen["kernels"]) == (["moved.ipynb"], True)
    assert seen["kernelIsGone"]


def test_a_terminal_is_typed_into(seen: Any) -> None:
    assert seen["typed"]
    assert seen["terminals"] == [True]


def test_a_stranger_is_refused(seen: Any) -> None:
    assert seen["stranger"]["status"] == 403


def test_a_large_file_passes_through_contents_with_little_memory(
    hub: LiveHub, jupyter: httpx.Client, seen: Any
) -> None:
    """`seen` first: the web process has then done everything once."""
    folder = hub.data_dir / "projects"
    [project] = [path for path in folder.iterdir() if (path / "large.bin").exists()]
    with (project / "huge.bin").open("wb") as stream:
        for _ in range(200):
            stream.write(b"\xff\x00" * 500_000)
    web = psutil.Process(hub.pid_of("web"))
    before_bytes = peak_bytes = web.memory_info().rss
    received_bytes = 0
    with jupyter.stream("GET", "api/contents/huge.bin") as response:
        assert response.status_code == 200
        for chunk in response.iter_bytes():
            received_bytes += len(chunk)
            peak_bytes = max(peak_bytes, web.memory_info().rss)
    assert received_bytes > 200_000_000 * 4 // 3
    assert peak_bytes - before_bytes < 60_000_000


def test_a_body_beyond_the_limit_is_refused_in_jupyters_shape(jupyter: httpx.Client) -> None:
    response = jupyter.put("api/contents/a.txt", content=b"x" * (130 * 1024 * 1024))
    assert response.status_code == 413
    assert set(response.json()) == {"message", "reason"}
