"""What Prometheus reads of a whole hub: each program on its own port, and nothing of it on the hub's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live_hub import LiveHub, free_ports_in_a_row, running_hub, wait_for
from tests.notebook_files import notebook_file

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports_in_a_row(4)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[LiveHub]:
    folder: Path = tmp_path_factory.mktemp("metrics") / "data"
    with running_hub(folder, HUB_METRICS_PORT=str(port), HUB_LOG_LEVEL="INFO") as hub:
        yield hub


def read(port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).raise_for_status().text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0)


def test_each_program_tells_what_it_does(hub: LiveHub, port: int) -> None:
    web, recorder, worker, node = (port + offset for offset in range(4))
    with hub.client() as client:
        project = client.post("projects", json={"name": "Counted"}).raise_for_status().json()
        client.put(f"projects/{project['id']}/files/a.ipynb", content=notebook_file("1+1")).raise_for_status()
        document = client.post(f"projects/{project['id']}/documents", json={"path": "a.ipynb"}).json()
        client.post(f"documents/{document['id']}/runs", json={"cells": "all"}).raise_for_status()

        def has_run() -> bool:
            runs = client.get(f"documents/{document['id']}/runs").raise_for_status().json()
            return all(run["state"] == "ok" for run in runs)

        wait_for("the cell has run", has_run, timeout_s=60)
        answer = client.get("me", headers={"X-Request-ID": "from-the-proxy"})
        assert answer.headers["X-Request-ID"] == "from-the-proxy"
        forged = client.get("me", headers={"X-Request-ID": "two words='forged'"})
        assert forged.headers["X-Request-ID"] != "two words='forged'"
    samples = read(web)
    assert value(samples, "hub_request_seconds_count", area="api", method="GET", status="2xx") >= 3
    samples = read(recorder)
    assert value(samples, "hub_kernels", state="idle") == 1
    assert value(samples, "hub_nodes_up") == 1
    assert value(samples, "hub_kernel_start_seconds_count") == 1
    assert value(samples, "hub_kernel_start_seconds_sum") > 0
    samples = read(node)
    assert value(samples, "node_kernels", state="idle") == 1
    assert value(samples, "node_kernel_launch_seconds_count") == 1
    wait_for(
        "the worker has worked",
        lambda: value(read(worker), "hub_tasks_total", task="kernels.watch", outcome="ok") >= 1,
        timeout_s=30,
    )


def test_the_hub_s_own_port_tells_nothing(hub: LiveHub) -> None:
    with hub.client() as client:
        answer = client.get(f"{hub.url}/metrics")
    assert answer.status_code == 404
    assert "hub_request_seconds" not in answer.text


def test_log_lines_have_the_request_s_id(hub: LiveHub) -> None:
    with hub.client() as client:
        client.get("me", headers={"X-Request-ID": "look-for-this-one"}).raise_for_status()
    log = (hub.data_dir / "logs" / "web.log").read_text(encoding="utf-8")
    [line] = [line for line in log.splitlines() if "look-for-this-one" in line and "event='request'" in line]
    assert "route='api/hub/v1/me'" in line
    assert "status=200" in line
