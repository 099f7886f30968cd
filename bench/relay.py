"""What it costs to carry executions between Jupyter clients and kernels: the hub beside its peers.

All servers are up at the same time with kernels of their own; the loads take turns, so that what disturbs the
machine disturbs all of them. CPU is user and system time of every process of a server, divided by executions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec

from bench.channel_frames import WireFormat
from bench.load_client import KernelAddress, LoadPlan
from bench.loading import Load, run_load
from bench.measuring import machine_load, write_result
from bench.options import Options
from bench.report import Spread, print_table, spread_of
from bench.servers import Server, hub, jupyter_server, jupyterhub

# (kernels, executions a second of each)
RATES = [(16, 10), (64, 10), (100, 10), (16, 100)]
PEOPLE = 8
RELAYING = ("web", "node", "valkey")  # of the hub; recorder and worker have no part in it
BARS = {  # (against, kernels, rate): at most this ratio of CPU
    ("JupyterHub v1", 64, 10): 0.3,
    ("JupyterHub v1", 16, 10): 0.5,
    ("jupyter_server v1", 64, 10): 0.6,
}
HUB = "Zasper Hub v1"


class Subject(msgspec.Struct, frozen=True):
    server: Server
    kernels: list[KernelAddress]
    wire_format: WireFormat

    @property
    def label(self) -> str:
        return f"{self.server.name} {self.wire_format}"


class Row(msgspec.Struct, kw_only=True):
    """All repeats of one subject under one load."""

    subject: str
    kernels: int
    rate_per_s: float
    executions: int
    cpu_us: Spread
    cpu_us_by_part: dict[str, Spread]
    p50_ms: Spread
    p99_ms: Spread
    drained_s: Spread
    memory_mb: Spread
    messages_lost: int
    duplicates: int
    machine_load: Spread


def row_of(subject: str, plan: LoadPlan, loads: Sequence[Load], others: Sequence[float]) -> Row:
    reports = [load.report for load in loads]
    return Row(
        subject=subject,
        kernels=len(plan.kernels),
        rate_per_s=plan.rate_per_s,
        executions=sum(report.completed for report in reports),
        cpu_us=spread_of([load.cpu_us for load in loads]),
        cpu_us_by_part={
            part: spread_of([load.cpu_us_by_part[part] for load in loads]) for part in loads[0].cpu_us_by_part
        },
        p50_ms=spread_of([report.p50_ms or 0 for report in reports]),
        p99_ms=spread_of([report.p99_ms or 0 for report in reports]),
        drained_s=spread_of([report.drained_s for report in reports]),
        memory_mb=spread_of([load.memory_mb for load in loads]),
        messages_lost=sum(report.messages_lost for report in reports),
        duplicates=sum(report.duplicates + report.unexpected for report in reports),
        machine_load=spread_of(others),
    )


def measure(options: Options, rates: Sequence[tuple[int, int]] = RATES) -> list[Row]:
    most = max(kernels for kernels, _ in rates)
    with contextlib.ExitStack() as stack:
        subjects: list[Subject] = []
        servers: list[tuple[Server, Sequence[WireFormat]]] = [
            (stack.enter_context(hub()), ("v1", "json")),
            (stack.enter_context(jupyter_server()), ("v1", "json")),
            (stack.enter_context(jupyterhub(PEOPLE)), ("v1",)),
        ]
        for server, wire_formats in servers:
            kernels = server.start_kernels(most)
            subjects += [Subject(server, kernels, wire_format) for wire_format in wire_formats]
        rows = []
        for kernel_count, rate in rates:
            loads: dict[str, list[Load]] = {subject.label: [] for subject in subjects}
            others: dict[str, list[float]] = {subject.label: [] for subject in subjects}
            for _ in range(options.repeats):
                for subject in subjects:
                    plan = plan_of(subject, kernel_count, rate, options)
                    with machine_load() as load:
                        loads[subject.label].append(run_load(plan, subject.server.parts))
                    others[subject.label].append(
                        load.other_cores(loads[subject.label][-1].report.client_cpu_s)
                    )
            for subject in subjects:
                plan = plan_of(subject, kernel_count, rate, options)
                row = row_of(subject.label, plan, loads[subject.label], others[subject.label])
                rows.append(row)
                print(
                    f"{row.subject:18} {kernel_count:3} × {rate:3}/s  {row.cpu_us.median:6.0f} µs  "
                    f"p99 {row.p99_ms.median} ms  lost {row.messages_lost}",
                    flush=True,
                )
    return rows


def plan_of(subject: Subject, kernel_count: int, rate: float, options: Options) -> LoadPlan:
    return LoadPlan(
        kernels=spread_over(subject.kernels, kernel_count),
        wire_format=subject.wire_format,
        rate_per_s=rate,
        duration_s=options.seconds,
        drain_s=60,
    )


def spread_over(kernels: Sequence[KernelAddress], count: int) -> list[KernelAddress]:
    """So many of them, evenly: kernels of one person follow each other."""
    return [kernels[n * len(kernels) // count] for n in range(count)]


def ratios_of(rows: Sequence[Row]) -> list[dict[str, object]]:
    """CPU of the hub's web, node and Valkey by that of a peer, with the bar."""
    cpu = {
        (row.subject, row.kernels, row.rate_per_s): sum(
            row.cpu_us_by_part[part].median for part in RELAYING if part in row.cpu_us_by_part
        )
        or row.cpu_us.median
        for row in rows
    }
    return [
        {
            "against": against,
            "kernels": kernels,
            "rate_per_s": rate,
            "ratio": round(cpu[HUB, kernels, rate] / cpu[against, kernels, rate], 3),
            "bar": bar,
        }
        for (against, kernels, rate), bar in BARS.items()
        if (against, kernels, rate) in cpu and (HUB, kernels, rate) in cpu
    ]


def main(options: Options) -> None:
    with_bar = {(kernels, rate) for _, kernels, rate in BARS}
    rates = [load for load in RATES if load in with_bar] if options.only_bars else RATES
    rows = measure(options, rates)
    print_table(
        ["server", "load", "CPU µs an execution", "p50 ms", "p99 ms", "memory MB", "lost"],
        [
            [
                row.subject, f"{row.kernels} × {row.rate_per_s:g}/s", row.cpu_us, row.p50_ms, row.p99_ms,
                row.memory_mb, row.messages_lost,
            ]
            for row in rows
        ],
    )  # fmt: skip
    ratios = ratios_of(rows)
    for ratio in ratios:
        load = f"{ratio['kernels']} × {ratio['rate_per_s']}/s"
        print(f"CPU against {ratio['against']}, {load}: {ratio['ratio']} (bar {ratio['bar']})")
    figures = {"rows": [msgspec.to_builtins(row) for row in rows], "ratios": ratios}
    print(f"written to {write_result('relay', figures, options).name}")
