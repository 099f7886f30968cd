"""`python -m zasper_hub.embedded.health`: exit code 0 while the program of this container does its work. No Django.

Recorder and worker answer no requests; each touches `HUB_HEALTH_FILE` when a round of its work succeeded.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

MAX_AGE_S = 60  # rounds of the recorder take at most five seconds, the worker is asked every ten


def reason_against(path: Path, now_s: float) -> str:
    """Why the program is not healthy; empty when it is."""
    try:
        age_s = now_s - path.stat().st_mtime
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "" if age_s <= MAX_AGE_S else f"The last round that succeeded was {age_s:.0f} s ago."


def main() -> int:
    name = os.environ.get("HUB_HEALTH_FILE")
    reason = reason_against(Path(name), time.time()) if name else "HUB_HEALTH_FILE is not set."
    if reason:
        sys.stderr.write(f"{reason}\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
