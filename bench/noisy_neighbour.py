"""How quick one person's trivial run stays while a kernel of another team forks and takes memory without end."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from bench.measuring import quantile, write_result
from bench.options import Options
from tests.channel_client import ChannelClient
from tests.live_hub import running_hub

BAR = 3.0
PAUSE_S = 0.02
# Bounded by the quotas below, which is what is measured.
FORK_BOMB = (
    "import os, time\n"
    "while True:\n"
    "    try:\n"
    "        if os.fork() == 0:\n"
    "            while True:\n"
    "                sum(range(1000))\n"
    "    except OSError:\n"
    "        time.sleep(0.01)\n"
)
MEMORY_HOG = "import time\nkept = []\nwhile True:\n    kept.append(b'x' * (1 << 20))\n"
LIMITS = {"HUB_KERNEL_MEMORY_MB": "512", "HUB_KERNEL_PROCESSES": "64", "HUB_KERNEL_CPU_CORES": "0.5"}


def start_kernel(client: httpx.Client, jupyter_url: str) -> str:
    """Its id."""
    answer = client.post(f"{jupyter_url}api/kernels", json={"name": "python3"}).raise_for_status()
    return str(answer.json()["id"])


def channels(token: str, jupyter_url: str, kernel_id: str) -> ChannelClient:
    address = f"{jupyter_url}api/kernels/{kernel_id}/channels"
    return ChannelClient(address.replace("http://", "ws://"), token=token, timeout_s=120)


def trivial_runs(kernel: ChannelClient, seconds: float) -> list[float]:
    """Milliseconds of each."""
    took_ms: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.perf_counter()
        kernel.replies_to(kernel.execute("1 + 1"))
        took_ms.append((time.perf_counter() - started) * 1000)
        time.sleep(PAUSE_S)
    return took_ms


def measure(seconds: float) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_hub(Path(folder) / "data", **LIMITS) as hub,
        hub.client() as client,
    ):
        token = str(client.headers["Authorization"]).split()[-1]
        projects = [
            client.post("projects", json={"name": name}).raise_for_status().json()
            for name in ("quiet", "noisy")
        ]
        quiet, noisy = (str(project["jupyter_url"]) for project in projects)
        with channels(token, quiet, start_kernel(client, quiet)) as kernel:
            kernel.replies_to(kernel.execute("1 + 1"))
            idle_ms = trivial_runs(kernel, seconds)
            for source in (FORK_BOMB, MEMORY_HOG):
                with channels(token, noisy, start_kernel(client, noisy)) as hostile:
                    hostile.execute(source)
            beside_ms = trivial_runs(kernel, seconds)
        left = len(client.get("kernels").raise_for_status().json())
    return {
        "kernels_at_the_end": left,
        "runs": [len(idle_ms), len(beside_ms)],
        "idle_p50_ms": round(quantile(idle_ms, 0.5), 2),
        "idle_p99_ms": round(quantile(idle_ms, 0.99), 2),
        "beside_p50_ms": round(quantile(beside_ms, 0.5), 2),
        "beside_p99_ms": round(quantile(beside_ms, 0.99), 2),
        "ratio_p99": round(quantile(beside_ms, 0.99) / quantile(idle_ms, 0.99), 2),
    }


def main(options: Options) -> None:
    rounds = [measure(options.seconds) for _ in range(options.repeats)]
    rounds.sort(key=lambda found: float(found["ratio_p99"]))
    figures = {"median": rounds[len(rounds) // 2], "rounds": rounds, "limits": LIMITS}
    print(json.dumps(figures, indent=1))
    print(
        f"written to {write_result('noisy_neighbour', figures).name}; the bar: p99 at most {BAR} times as long"
    )
