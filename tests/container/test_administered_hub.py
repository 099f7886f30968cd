"""The hub of docker-compose.yml as an administrator changes it: quotas, a further host, a disk that fills."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.compose_hub import ComposeHub, FurtherHost, RemoteNotebook, docker, rows, wait_for

# The first one waits for the images too.
pytestmark = [pytest.mark.container, pytest.mark.timeout(1500)]

WRITES_WITHOUT_END = """
import time
with open("big", "wb") as file:
    while True:
        file.write(b"x" * (1 << 20))
        file.flush()
        time.sleep(0.02)
"""
EMPTIES = "import os\nprint(os.path.getsize('big') >> 20)\nos.remove('big')"
FULL = (
    "a kernel that went on writing was ended. "
    "Delete files and empty the trash, or ask an administrator for more."
)
GOES_ON = "print('up', flush=True)\nimport time\nwhile True: time.sleep(1)"


@pytest.fixture(autouse=True)
def _no_kernel_is_left(hub: ComposeHub) -> Iterator[None]:
    yield
    client = hub.client()
    for kernel in rows(client.get("kernels")):
        client.delete(f"kernels/{kernel['id']}")
    wait_for("the kernels are gone", lambda: not hub.kernel_containers())


def test_a_quota_that_is_changed_holds_for_the_kernels_that_run(hub: ComposeHub) -> None:
    client = hub.client()
    notebook = RemoteNotebook(client, [GOES_ON]).run()
    notebook.says("up")

    def have(memory_bytes: int, cores: float) -> bool:
        running = [json.loads(docker("inspect", one))[0] for one in hub.kernel_containers()]
        found = [
            (one["HostConfig"]["Memory"], one["HostConfig"]["NanoCpus"])
            for one in running
            if one["State"]["Running"]
        ]
        return bool(found) and set(found) == {(memory_bytes, int(cores * 1e9))}

    try:
        for mebibytes, cores in ((300, 0.5), (450, 1.0)):
            values = {"kernel_memory_bytes": mebibytes << 20, "kernel_cpu_cores": cores}
            client.put("admin/quotas", json={"values": values}).raise_for_status()
            wait_for(f"{mebibytes} MiB hold", lambda: have(mebibytes << 20, cores))  # noqa: B023
    finally:
        unset = {"unset": ["kernel_memory_bytes", "kernel_cpu_cores"]}
        client.put("admin/quotas", json=unset).raise_for_status()
    assert notebook.states() == ["running"]
    client.post(f"documents/{notebook.document_id}/interrupt").raise_for_status()
    notebook.ended()


def test_a_kernel_that_fills_its_project_ends_and_says_why(hub: ComposeHub) -> None:
    client = hub.client()
    neighbour = RemoteNotebook(client, [GOES_ON]).run()
    neighbour.says("up")
    project_id = client.post("projects", json={"name": "Full"}).raise_for_status().json()["id"]
    writer, again = (
        RemoteNotebook(client, [source], project_id=project_id) for source in (WRITES_WITHOUT_END, EMPTIES)
    )
    client.put("admin/quotas", json={"values": {"project_storage_bytes": 64 << 20}}).raise_for_status()
    try:
        assert writer.run().ended() == ["died"]
        wait_for("its kernel is gone", lambda: writer.kernel()["state"] == "killed")
        assert writer.kernel()["reason"].split(" of ")[1:] == ["64 MiB", f"storage in use: {FULL}"]
        assert neighbour.states() == ["running"]
        # A full project can be worked in, and be emptied by its kernels too.
        assert again.run().ended() == ["ok"]
        assert int(again.text()) < 512, "it ended before it had written much more"
    finally:
        client.put("admin/quotas", json={"unset": ["project_storage_bytes"]}).raise_for_status()


@pytest.fixture
def further(hub: ComposeHub, tmp_path: Path) -> Iterator[FurtherHost]:
    host = FurtherHost(hub, tmp_path)
    yield host
    host.remove()


def test_a_further_host_takes_kernels_and_is_missed_when_it_is_lost(
    hub: ComposeHub, further: FurtherHost
) -> None:
    client = hub.client()
    own_node = hub.node_of(hub.project)
    further.join()
    new_node = wait_for("the new node is up", lambda: hub.node_of(further.project))
    assert new_node in {node["id"] for node in rows(client.get("admin/nodes"))}

    client.post(f"admin/nodes/{own_node}/drain").raise_for_status()
    try:
        lost = RemoteNotebook(client, ["open('from-there.txt', 'w').write('seen')", GOES_ON]).run()
        lost.says("up", cell=1)
        assert len(further.kernel_containers()) == 1
        # One set of files: what a kernel writes there is seen here at once.
        written = client.get(f"projects/{lost.project_id}/files/from-there.txt")
        assert written.content == b"seen"
    finally:
        client.post(f"admin/nodes/{own_node}/undrain").raise_for_status()
    stays = RemoteNotebook(client, [GOES_ON])
    client.post(f"admin/nodes/{new_node}/drain").raise_for_status()
    stays.run().says("up")

    further.lose()
    lost_at = time.monotonic()
    ended = (
        f"SELECT reason FROM kernels_app_kernel WHERE document_id = '{lost.document_id}' AND state = 'lost'"
    )
    wait_for("its kernel ends", lambda: hub.sql(ended), timeout_s=30)
    assert time.monotonic() - lost_at <= 30
    assert "does not answer any more" in hub.sql(ended)
    assert sorted(lost.ended()) == ["died", "ok"]
    assert stays.states() == ["running"]
    again = RemoteNotebook(client, ["print(open('from-there.txt').read())"]).run()
    assert again.ended() == ["ok"]
    assert again.text() == "seen\n"
