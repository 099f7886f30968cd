"""Two nodes on one machine: kernels are spread and queue for places; one node is killed, the other's go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.test_programs_are_killed import run_of
from tests.live_hub import ROOT, LiveHub, running_hub, wait_for
from tests.notebook_files import notebook_file, stream_text
from zasper_hub.embedded.layout import Layout, run_dir_of

pytestmark = [pytest.mark.chaos, pytest.mark.integration]

LOST_WITHIN_S = 30
SLOTS = {"NODE_SLOTS": "1", "NODE_PROVISIONER": "process"}
COUNTING = "import time\nfor i in range(600):\n    print('line', i, flush=True)\n    time.sleep(0.1)"


class SecondNode:
    """A node program beside the hub's own, over the same bus and projects."""

    def __init__(self, hub: LiveHub, run_dir: Path) -> None:
        layout = Layout(data_dir=hub.data_dir, run_dir=run_dir_of(hub.data_dir))
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **SLOTS,
            "NODE_ID": "second",
            "NODE_LABELS": "zone=b",
            "NODE_PROJECTS_ROOT": str(layout.projects_dir),
            "NODE_RUN_DIR": str(run_dir),
            "NODE_KERNEL_PYTHON": str(ROOT / ".kernel-venv" / "bin" / "python"),
            "REDIS_URL": f"unix://{layout.valkey_socket}",
            "PYTHONPATH": str(ROOT),
        }
        self._log = run_dir.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kernels_app.node"], env=self._environment, stderr=output
            )

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(15)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LiveHub]:
    with running_hub(tmp_path / "data", **SLOTS) as hub:
        yield hub


@pytest.fixture
def second(hub: LiveHub, tmp_path: Path) -> Iterator[SecondNode]:
    node = SecondNode(hub, tmp_path / "second")
    node.start()
    yield node
    node.stop()


def kernels(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """By the file's name."""
    found = client.get("kernels").raise_for_status().json()
    return {kernel["document"]["path"]: kernel for kernel in found}


def open_and_run(client: httpx.Client, project_id: str, path: str, source: str) -> tuple[str, str]:
    """`(document id, run id)`."""
    client.put(f"projects/{project_id}/files/{path}", content=notebook_file(source)).raise_for_status()
    document = client.post(f"projects/{project_id}/documents", json={"path": path}).raise_for_status().json()
    answer = client.post(f"documents/{document['id']}/runs", json={"cells": "all"}).raise_for_status().json()
    return document["id"], answer["run_ids"][0]


def test_one_of_two_nodes_is_killed(hub: LiveHub, second: SecondNode) -> None:
    with hub.client() as client:
        project_id = client.post("projects", json={"name": "Two nodes"}).raise_for_status().json()["id"]
        first = open_and_run(client, project_id, "one.ipynb", COUNTING)

        # Queued until the second node is there, whichever comes first.
        open_and_run(client, project_id, "two.ipynb", COUNTING)

        def both_compute() -> dict[str, dict[str, Any]] | None:
            there = kernels(client)
            return there if {kernel["state"] for kernel in there.values()} == {"busy"} else None

        found = wait_for("both compute", both_compute, timeout_s=60)
        assert {found["one.ipynb"]["node"], found["two.ipynb"]["node"]} == {"local", "second"}
        document_two = found["two.ipynb"]["document"]["id"]

        third = open_and_run(client, project_id, "three.ipynb", "print('my turn')")
        waiting = kernels(client)["three.ipynb"]
        assert (waiting["state"], waiting["queue_position"], waiting["queue_length"]) == ("pending", 1, 1)
        assert waiting["reason"] == "Waiting for a free place: 1st in the queue."

        on_second = "one" if found["one.ipynb"]["node"] == "second" else "two"
        survivor = first[0] if on_second == "two" else document_two
        lost = document_two if on_second == "two" else first[0]
        second.kill()
        killed_at = time.monotonic()

        def said_to_be_lost() -> dict[str, Any] | None:
            kernel: dict[str, Any] = client.get(f"documents/{lost}").raise_for_status().json()["kernel"]
            return kernel if kernel["state"] == "lost" else None

        ended = wait_for("the lost kernel says so", said_to_be_lost, timeout_s=LOST_WITHIN_S)
        assert time.monotonic() - killed_at <= LOST_WITHIN_S
        assert ended["reason"] == "The node that ran the kernel does not answer any more."

        def states() -> set[str]:
            return {run["state"] for run in client.get(f"documents/{lost}/runs").json()}

        # The recorder ends them, from the log that the end of the kernel wrote.
        wait_for("its runs have ended", lambda: not states() & {"queued", "running"}, timeout_s=10)
        assert "died" in states()

        # The other's kernel has not noticed, and nothing of it is lost.
        assert client.get(f"documents/{survivor}").json()["kernel"]["state"] == "busy"
        client.post(f"documents/{survivor}/interrupt").raise_for_status()
        wait_for(
            "the other's run ends",
            lambda: all(run["finished_at"] for run in client.get(f"documents/{survivor}/runs").json()),
        )
        notebook = client.get(f"documents/{survivor}/notebook").raise_for_status().json()
        lines = stream_text(notebook["cells"][0]).splitlines()
        assert lines == [f"line {i}" for i in range(len(lines))]
        assert len(lines) > 100, "it went on while the other was being missed"

        # Its place goes to who waits, though it was lost.
        assert kernels(client)["three.ipynb"]["state"] == "pending"
        second.start()
        wait_for(
            "who waited runs on the node that came back",
            lambda: run_of(client, third[0], third[1])["state"] == "ok",
            timeout_s=40,
        )
        assert kernels(client)["three.ipynb"]["node"] == "second"
