"""More than the machine can carry, 64 kernels × 100/s: nothing may be lost, and it is over soon after the load ends."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.load_client import LoadPlan
from bench.loading import run_load
from bench.measuring import write_result
from bench.options import Options
from bench.report import print_table
from bench.servers import Server, hub, jupyter_server

KERNELS, RATE_PER_S = 64, 100
# The load after it, which tells whether the server is as quick as before.
CALM_KERNELS, CALM_RATE_PER_S, CALM_S = 16, 10, 3
DRAIN_S = 60
BAR_RECOVERY_S = 5


def measure(server: Server, options: Options) -> list[dict[str, Any]]:
    kernels = server.start_kernels(KERNELS)
    overload = LoadPlan(kernels=kernels, rate_per_s=RATE_PER_S, duration_s=options.seconds, drain_s=DRAIN_S)
    calm = LoadPlan(kernels=kernels[:CALM_KERNELS], rate_per_s=CALM_RATE_PER_S, duration_s=CALM_S)
    repeats = []
    for _ in range(options.repeats):
        load = run_load(overload, server.parts)
        after = run_load(calm, server.parts)
        repeats.append(
            {
                "server": server.name,
                "overload": msgspec.to_builtins(load),
                "after": msgspec.to_builtins(after),
                "carried_per_s": round(load.report.completed / (options.seconds + load.report.drained_s)),
            }
        )
    return repeats


def main(options: Options) -> None:
    repeats = []
    for running in (hub, jupyter_server):
        with running() as server:
            repeats += measure(server, options)
    print_table(
        ["server", "sent", "lost", "drained after s", "executions/s", "closed", "p99 ms afterwards"],
        [
            [
                one["server"],
                one["overload"]["report"]["sent"],
                one["overload"]["report"]["messages_lost"],
                one["overload"]["report"]["drained_s"],
                one["carried_per_s"],
                len(one["overload"]["report"]["closed"]),
                one["after"]["report"]["p99_ms"],
            ]
            for one in repeats
        ],
    )
    print(f"the bar: nothing lost, over within {BAR_RECOVERY_S} s")
    print(f"written to {write_result('overload', {'repeats': repeats}, options).name}")
