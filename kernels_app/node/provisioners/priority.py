"""The priority of what people run: below the hub's own programs, so that pages stay quick while cells compute."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from pathlib import Path

NICENESS = 5
# Without privileges it can be set ten times a second on the whole machine.
_RETRY_S = 0.11
_TRIES = 5


async def lower_priority(pid: int) -> None:
    """Of the session and process group that `pid` leads. Does what the machine allows, and fails silently.

    Where Linux groups processes by session (sched(7), "The autogroup feature"), niceness counts only inside a session;
    between sessions that of the group does.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PGRP, pid, NICENESS)
    for _ in range(_TRIES):
        try:
            _set_for_session(pid)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return
            await asyncio.sleep(_RETRY_S)
        else:
            return


def go_first(pid: int) -> None:
    """When the machine has no memory left, the process and what it starts are ended before the hub is."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("500", encoding="ascii")


def _set_for_session(pid: int) -> None:
    Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS), encoding="ascii")
