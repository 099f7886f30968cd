"""`python -m bench [scenario …]`: run the named scenarios, or all."""

from __future__ import annotations

import sys

from bench import idle_hub, rest_while_busy

SCENARIOS = {"rest_while_busy": rest_while_busy.main, "idle_hub": idle_hub.main}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        print(f"no such scenario: {', '.join(unknown)}; there are: {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    for name in names or list(SCENARIOS):
        print(f"== {name}", flush=True)
        SCENARIOS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
