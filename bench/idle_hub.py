"""What the whole embedded hub costs when nobody does anything: memory (PSS) and CPU of each program."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench.measuring import cpu_seconds, pss_bytes, write_result
from bench.options import Options
from tests.live_hub import LiveHub, running_hub

SETTLE_S = 20
WINDOW_S = 60
PROGRAMS = ("web", "recorder", "worker", "node", "valkey")


def tree(hub: LiveHub, program: str) -> list[int]:
    process = psutil.Process(hub.pid_of(program))
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder) / "data") as hub:
        time.sleep(SETTLE_S)
        trees = {program: tree(hub, program) for program in PROGRAMS}
        before = {program: sum(map(cpu_seconds, pids)) for program, pids in trees.items()}
        time.sleep(WINDOW_S)
        cpu_percent = {
            program: (sum(map(cpu_seconds, pids)) - before[program]) / WINDOW_S * 100
            for program, pids in trees.items()
        }
        memory_mb = {program: sum(map(pss_bytes, pids)) / 1e6 for program, pids in trees.items()}
        parent = psutil.Process(hub.pid_of("web")).parent()
        assert parent is not None
        memory_mb["parent"] = pss_bytes(parent.pid) / 1e6
    return {
        "memory_mb": {name: round(value, 1) for name, value in memory_mb.items()},
        "memory_mb_total": round(sum(memory_mb.values()), 1),
        "cpu_percent_of_a_core": {name: round(value, 2) for name, value in cpu_percent.items()},
        "cpu_percent_total": round(sum(cpu_percent.values()), 2),
    }


def main(options: Options) -> None:
    figures = measure()
    print(json.dumps(figures, indent=1))
    print(f"written to {write_result('idle_hub', figures).name}; the bar: 260 MB and 1 % of a core")
