"""64 clients lose their sockets at the same moment while their kernels print, and come back as the same clients."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.channel_frames import WireFormat
from bench.load_client import LoadPlan
from bench.loading import run_load
from bench.measuring import write_result
from bench.options import Options
from bench.report import print_table
from bench.servers import Server, hub, jupyter_server

KERNELS = 64
# Each execution prints for half its time, so that half the kernels print while their client is away.
STREAMS, PAUSE_MS, RATE_PER_S = 10, 50, 1
AWAY_S = 0.5
WIRE_FORMATS: tuple[WireFormat, ...] = ("v1", "json")


def measure(server: Server, options: Options) -> list[dict[str, Any]]:
    kernels = server.start_kernels(KERNELS)
    repeats = []
    for _ in range(options.repeats):
        for wire_format in WIRE_FORMATS:
            plan = LoadPlan(
                kernels=kernels,
                wire_format=wire_format,
                rate_per_s=RATE_PER_S,
                duration_s=options.seconds,
                streams=STREAMS,
                pause_ms=PAUSE_MS,
                reconnect_at_s=options.seconds / 2 + 0.25,
                away_s=AWAY_S,
                drain_s=5,  # what has not come by then does not come
            )
            load = run_load(plan, server.parts)
            repeats.append({"server": f"{server.name} {wire_format}", "load": msgspec.to_builtins(load)})
    return repeats


def main(options: Options) -> None:
    repeats = []
    for running in (hub, jupyter_server):
        with running() as server:
            repeats += measure(server, options)
    print_table(
        ["server", "messages", "lost", "twice", "all back after s", "CPU µs an execution"],
        [
            [
                one["server"],
                one["load"]["report"]["messages_expected"],
                one["load"]["report"]["messages_lost"],
                one["load"]["report"]["duplicates"],
                round(one["load"]["report"]["reconnected_s"], 2),
                one["load"]["cpu_us"],
            ]
            for one in repeats
        ],
    )
    print(f"written to {write_result('reconnect_storm', {'repeats': repeats}, options).name}")
