"""One program of the hub as the process of its container: `python -m zasper_hub.embedded.container web`. No Django."""

from __future__ import annotations

import os
import sys

from zasper_hub.embedded.programs import recorder_command, web_command, worker_command

# Inside its container; the proxy is the way in.
PORT = 8000
COMMANDS = {
    "web": web_command("--bind", "0.0.0.0", "--port", str(PORT)),
    "recorder": recorder_command(),
    "worker": worker_command(),
}


def main(words: list[str]) -> int:
    """Becomes the program; returns only when it is none."""
    if len(words) != 1 or words[0] not in COMMANDS:
        sys.stderr.write(f"which program? one of: {' '.join(COMMANDS)}\n")
        return 64
    command = COMMANDS[words[0]]
    return os.execv(command[0], command)  # noqa: S606  a fixed command line, no shell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
