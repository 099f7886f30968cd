"""One client of eight stops reading while its kernel prints much: what the others notice, what it costs in memory."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.load_client import LoadPlan
from bench.loading import run_load
from bench.measuring import PeakMemory, write_result
from bench.options import Options
from bench.report import print_table
from bench.servers import Server, hub, jupyter_server

KERNELS, RATE_PER_S = 8, 10
STREAMS, TEXT_CHARACTERS = 5, 50_000  # 2.5 MB a second for each client: more than sockets keep
STALL_SHARE = 0.4  # of the load's time


def measure(server: Server, options: Options) -> list[dict[str, Any]]:
    kernels = server.start_kernels(KERNELS)
    repeats = []
    for _ in range(options.repeats):
        for stalled in (0, 1):
            plan = LoadPlan(
                kernels=kernels,
                rate_per_s=RATE_PER_S,
                duration_s=options.seconds,
                streams=STREAMS,
                text_size=TEXT_CHARACTERS,
                stalled_clients=stalled,
                stall_s=options.seconds * STALL_SHARE,
            )
            with PeakMemory(server.parts()) as memory:
                load = run_load(plan, server.parts)
            repeats.append(
                {
                    "server": server.name,
                    "stalled": stalled,
                    "load": msgspec.to_builtins(load),
                    "memory_growth_mb": memory.growth_mb,
                }
            )
    return repeats


def main(options: Options) -> None:
    repeats = []
    for running in (hub, jupyter_server):
        with running() as server:
            repeats += measure(server, options)
    print_table(
        ["server", "stalled", "p99 ms of the others", "lost", "closed", "memory at most + MB"],
        [
            [
                one["server"],
                one["stalled"],
                one["load"]["report"]["others_p99_ms"],
                one["load"]["report"]["messages_lost"],
                "; ".join(one["load"]["report"]["closed"]) or "–",
                one["memory_growth_mb"],
            ]
            for one in repeats
        ],
    )
    print(f"written to {write_result('slow_reader', {'repeats': repeats}, options).name}")
