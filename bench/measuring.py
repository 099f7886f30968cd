"""What the scenarios share: quantiles, process figures, the machine's description, result files."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.options import Options

RESULTS = Path(__file__).resolve().parent / "results"


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that at least a share `q` of `values` does not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * q // 1))
    return ordered[int(rank) - 1]


@dataclass(frozen=True)
class Machine:
    """Where a result was measured."""

    cpu_count: int
    cpu_model: str
    memory_gb: float
    python: str
    system: str


def this_machine() -> Machine:
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return Machine(
        cpu_count=os.cpu_count() or 0,
        cpu_model=model,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
    )


def pss_bytes(pid: int) -> int:
    """Proportional set size of one process: shared pages counted by their share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no Pss for process {pid}")


def cpu_seconds(pid: int) -> float:
    """User and system time of one process: what the scheduler counts for its threads, in nanoseconds, or what
    `/proc/<pid>/stat` says in hundredths of a second when that is more (threads that ended)."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            total_ns += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    times = psutil.Process(pid).cpu_times()
    return max(total_ns / 1e9, times.user + times.system)


class MachineLoad:
    """Cores in use by everything on the machine over a time."""

    cores = 0.0
    seconds = 0.0

    def other_cores(self, own_cpu_s: float) -> float:
        """Without what is known to be ours."""
        return round(max(0.0, self.cores - own_cpu_s / self.seconds), 2)


@contextlib.contextmanager
def machine_load() -> Iterator[MachineLoad]:
    """Measures while the block runs: how busy the machine was tells how far a latency can be trusted."""
    load, before, begun = MachineLoad(), psutil.cpu_times(), time.monotonic()
    yield load
    after = psutil.cpu_times()
    load.seconds = time.monotonic() - begun
    busy = sum(after) - sum(before) - (after.idle - before.idle) - (after.iowait - before.iowait)
    load.cores = busy / load.seconds


class PeakMemory:
    """The most that processes grew together while the block ran, looked at four times a second."""

    EVERY_S = 0.25

    def __init__(self, parts: Mapping[str, Sequence[int]]) -> None:
        self._pids = [pid for pids in parts.values() for pid in pids]
        self._before = self._peak = self._now()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def growth_mb(self) -> float:
        return round((self._peak - self._before) / 1e6, 1)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(self.EVERY_S):
            self._peak = max(self._peak, self._now())

    def _now(self) -> int:
        # Resident pages: reading the proportional share takes the kernel long for large processes.
        return sum(psutil.Process(pid).memory_info().rss for pid in self._pids)


def write_result(scenario: str, figures: dict[str, Any], options: Options | None = None) -> Path:
    """Keep a result with its machine, date and options in bench/results/."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{scenario}.json"
    document = {
        "scenario": scenario,
        "measured_on": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": asdict(this_machine()),
        "options": None if options is None else asdict(options),
        "figures": figures,
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path
