"""How quick a REST call stays while kernels compute: two busy kernels, one client, one minute."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.measuring import cpu_seconds, machine_load, quantile, write_result
from bench.options import Options
from tests.live_hub import running_hub, wait_for

DURATION_S = 60
BUSY_CELL = (
    "import time\n"
    "end = time.time() + {seconds}\n"
    "while time.time() < end:\n"
    "    sum(i * i for i in range(100000))\n"
    "    print('.', end='', flush=True)\n"
)
# The kernels outlast the measurement; the hub's end stops them.
EXTRA_S = 30


def notebook_of(source: str) -> bytes:
    cell: dict[str, Any] = {
        "cell_type": "code", "id": "busy", "metadata": {}, "source": source, "outputs": [], "execution_count": None,
    }  # fmt: skip
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def start_busy_kernel(client: httpx.Client, project_id: str, number: int) -> None:
    path = f"busy-{number}.ipynb"
    content = notebook_of(BUSY_CELL.format(seconds=DURATION_S + EXTRA_S))
    client.put(f"projects/{project_id}/files/{path}", content=content).raise_for_status()
    document = client.post(f"projects/{project_id}/documents", json={"path": path}).raise_for_status().json()
    client.post(f"documents/{document['id']}/runs", json={"cells": "all"}).raise_for_status()

    def is_running() -> bool:
        runs = client.get(f"documents/{document['id']}/runs").raise_for_status().json()
        return bool(runs and runs[0]["state"] == "running")

    wait_for(f"kernel {number} is busy", is_running, timeout_s=60)


def cpu_of_trees(roots: Sequence[psutil.Process | None]) -> float:
    """Of processes and all that come from them, kernels too."""
    processes = {one for root in roots if root is not None for one in (root, *root.children(recursive=True))}
    return sum(cpu_seconds(one.pid) for one in processes)


def measure(kernel_count: int = 2) -> dict[str, Any]:
    """Milliseconds a call, over calls that follow each other without a pause of more than 20 ms."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_hub(Path(folder) / "data") as hub,
        hub.client() as client,
    ):
        project = client.post("projects", json={"name": "bench"}).raise_for_status().json()
        for number in range(kernel_count):
            start_busy_kernel(client, project["id"], number)
        took_ms: dict[str, list[float]] = {}
        deadline = time.monotonic() + DURATION_S
        own = [psutil.Process(hub.pid_of("web")).parent(), psutil.Process()]
        cpu_before_s = cpu_of_trees(own)
        with machine_load() as load:
            while time.monotonic() < deadline:
                for route in ("me", "projects", f"projects/{project['id']}/files/", "kernels"):
                    started = time.perf_counter()
                    client.get(route).raise_for_status()
                    name = route.replace(project["id"], "{id}")
                    took_ms.setdefault(name, []).append((time.perf_counter() - started) * 1000)
                    time.sleep(0.02)
            cpu_s = cpu_of_trees(own) - cpu_before_s
    every = [value for values in took_ms.values() for value in values]
    return {
        "kernels_busy": kernel_count,
        "calls": len(every),
        "p50_ms": round(quantile(every, 0.5), 1),
        "p99_ms": round(quantile(every, 0.99), 1),
        "machine_load_of_others": load.other_cores(cpu_s),
        "p99_ms_by_route": {name: round(quantile(values, 0.99), 1) for name, values in took_ms.items()},
    }


def main(options: Options) -> None:
    figures = measure()
    print(json.dumps(figures, indent=1))
    print(f"written to {write_result('rest_while_busy', figures).name}; the bar: p99 at most 100 ms")
