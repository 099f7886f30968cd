"""`python -m bench [scenario …] [--seconds S] [--repeats N] [--only-bars]`: run the named scenarios, or all."""

from __future__ import annotations

import argparse
import importlib
import sys

from bench.options import Options
from bench.peers import PeerMissing

# Each is a module of this name with `main(options)`.
SCENARIOS = (
    "relay",
    "flood",
    "idle_people",
    "launch_storm",
    "team_morning",
    "overload",
    "reconnect_storm",
    "slow_reader",
    "browser",
    "rest_while_busy",
    "noisy_neighbour",
    "idle_hub",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the hub beside its peers.")
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(SCENARIOS))
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="of one load")
    parser.add_argument("--repeats", type=int, default=Options.repeats, help="of each load, in alternation")
    parser.add_argument("--only-bars", action="store_true", help="of relay: only the loads that have a bar")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are: {', '.join(SCENARIOS)}")
    options = Options(arguments.seconds, arguments.repeats, arguments.only_bars)
    failed = []
    for name in arguments.scenarios or SCENARIOS:
        print(f"== {name}", flush=True)
        try:
            importlib.import_module(f"bench.{name}").main(options)
        except (PeerMissing, RuntimeError, AssertionError) as error:
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
