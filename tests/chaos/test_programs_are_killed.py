"""`kill -9` of every program but the node while a cell prints: nothing is lost, nothing comes twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import nbformat
import pytest

from tests.live_hub import LiveHub, running_hub, wait_for
from tests.notebook_files import notebook_file, stream_text

pytestmark = [pytest.mark.chaos, pytest.mark.integration]

LINE_COUNT = 500
PRINTING = f"import time\nfor i in range({LINE_COUNT}):\n    print('line', i, flush=True)\n    time.sleep(0.02)\n'done'"
EXPECTED = "".join(f"line {i}\n" for i in range(LINE_COUNT))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with running_hub(tmp_path_factory.mktemp("chaos") / "data") as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub: LiveHub) -> Iterator[httpx.Client]:
    with hub.client() as client:
        yield client


@pytest.fixture(scope="module")
def project_id(client: httpx.Client) -> str:
    made = client.post("projects", json={"name": "Trouble"}).raise_for_status().json()
    return str(made["id"])


def start_run(client: httpx.Client, project_id: str, path: str, source: str = PRINTING) -> tuple[str, str]:
    """`(document id, run id)` of a run that has begun."""
    client.put(f"projects/{project_id}/files/{path}", content=notebook_file(source)).raise_for_status()
    document = client.post(f"projects/{project_id}/documents", json={"path": path}).raise_for_status().json()
    answer = client.post(f"documents/{document['id']}/runs", json={"cells": "all"}).raise_for_status().json()
    run_id = answer["run_ids"][0]
    wait_for("the run begins", lambda: run_of(client, document["id"], run_id)["started_at"], timeout_s=30)
    return document["id"], run_id


def run_of(client: httpx.Client, document_id: str, run_id: str) -> dict[str, Any]:
    for _ in range(100):
        try:
            runs = client.get(f"documents/{document_id}/runs").raise_for_status().json()
            return next(run for run in runs if run["id"] == run_id)
        except (httpx.TransportError, httpx.HTTPStatusError):
            time.sleep(0.1)  # the web process is being started again
    raise AssertionError("the hub does not answer")


def assert_complete(client: httpx.Client, project_id: str, path: str, document_id: str, run_id: str) -> None:
    run = wait_for(
        "the run ends",
        lambda: (run := run_of(client, document_id, run_id))["finished_at"] and run,
        timeout_s=40,
    )
    assert run["state"] == "ok", run
    assert run["execution_count"] == 1
    notebook = client.get(f"documents/{document_id}/notebook").raise_for_status().json()
    assert stream_text(notebook["cells"][0]) == EXPECTED

    def exported() -> bool:
        raw = client.get(f"projects/{project_id}/files/{path}").raise_for_status().text
        read = nbformat.reads(raw, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
        nbformat.validate(read)
        return bool(read.cells[0].outputs) and stream_text(read.cells[0]) == EXPECTED

    wait_for("the file is complete", exported, timeout_s=20)


@pytest.mark.parametrize("program", ["web", "recorder", "worker", "valkey"])
def test_one_program_is_killed(hub: LiveHub, client: httpx.Client, project_id: str, program: str) -> None:
    path = f"killed-{program}.ipynb"
    document_id, run_id = start_run(client, project_id, path)
    hub.kill(program)
    assert_complete(client, project_id, path, document_id, run_id)


def test_all_of_them_one_after_the_other(hub: LiveHub, client: httpx.Client, project_id: str) -> None:
    document_id, run_id = start_run(client, project_id, "trouble.ipynb")
    for program in ("recorder", "valkey", "web", "worker", "recorder"):
        hub.kill(program)
    assert_complete(client, project_id, "trouble.ipynb", document_id, run_id)


def test_a_killed_node_ends_its_kernels_and_says_so(
    hub: LiveHub, client: httpx.Client, project_id: str
) -> None:
    document_id, run_id = start_run(client, project_id, "lost.ipynb", "import time\ntime.sleep(300)")
    hub.kill("node")
    run = wait_for(
        "the run is ended",
        lambda: (run := run_of(client, document_id, run_id))["finished_at"] and run,
        timeout_s=40,
    )
    assert run["state"] == "died"
    document = client.get(f"documents/{document_id}").raise_for_status().json()
    assert document["kernel"] is None or document["kernel"]["state"] in ("lost", "died")
    # And the next run has a kernel again.
    again, new_run = start_run(client, project_id, "after.ipynb", "print('back')")
    done = wait_for(
        "it runs again",
        lambda: (run := run_of(client, again, new_run))["finished_at"] and run,
        timeout_s=30,
    )
    assert done["state"] == "ok"
