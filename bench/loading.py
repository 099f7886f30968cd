"""A load on a server, with what the server's processes spent on it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.load_client import LoadPlan, LoadReport
from bench.measuring import cpu_seconds, pss_bytes

# What connecting leaves to be done (access that is looked at once more, kernels that are asked who they are) is not an
# execution's, whatever the server.
SETTLE_S = 3.0
ROOT = Path(__file__).resolve().parent.parent
Parts = Mapping[str, Sequence[int]]  # process ids by part of a server; kernels are not among them


class Load(msgspec.Struct, kw_only=True):
    """One repeat."""

    report: LoadReport
    cpu_us_by_part: dict[str, int]
    cpu_us: int  # an execution
    memory_mb: float

    @property
    def is_lossless(self) -> bool:
        return self.report.messages_lost == 0 and self.report.completed == self.report.sent


def cpu_by_part(parts: Parts) -> dict[str, float]:
    return {name: sum(map(cpu_seconds, pids)) for name, pids in parts.items()}


def memory_mb(parts: Parts) -> float:
    return round(sum(pss_bytes(pid) for pids in parts.values() for pid in pids) / 1e6, 1)


def run_load(plan: LoadPlan, parts: Callable[[], Parts]) -> Load:
    """Load by a process of its own. Raises RuntimeError with its words when it fails."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.load_client"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(msgspec.json.encode(plan).decode() + "\n")
        client.stdin.flush()
        if client.stdout.readline().strip() != "ready":
            client.wait(10)
            raise RuntimeError("The load client could not connect; what it said is above.")
        time.sleep(SETTLE_S)
        server = parts()
        before = cpu_by_part(server)
        client.stdin.write("go\n")
        client.stdin.flush()
        line = client.stdout.readline()
        after = cpu_by_part(server)
        if not line:
            raise RuntimeError("The load client failed; what it said is above.")
    report = msgspec.json.decode(line, type=LoadReport)
    executions = max(1, report.completed)
    spent = {name: after[name] - before[name] for name in server}
    return Load(
        report=report,
        cpu_us_by_part={name: round(seconds / executions * 1e6) for name, seconds in spent.items()},
        cpu_us=round(sum(spent.values()) / executions * 1e6),
        memory_mb=memory_mb(server),
    )
