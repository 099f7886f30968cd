"""Ends the kernels of a node that was killed: no process of theirs survives it."""

from __future__ import annotations

import contextlib
import subprocess

# Reads process groups to watch from its standard input; each is a session too. The input ends when the node is gone,
# however it went; then every group still watched is killed, and what else is in its session (the jobs of a terminal
# have groups of their own), twice, because one may start another meanwhile. A shell, because it needs under 1 MB.
_SCRIPT = """
groups=' '
while read -r verb id; do
  case $verb in
    watch) groups="$groups$id " ;;
    forget) case $groups in *" $id "*) groups="${groups%% "$id" *} ${groups#* "$id" }" ;; esac ;;
  esac
done
for id in $groups; do kill -KILL "-$id" 2>/dev/null; done
for round in 1 2; do
  for stat in /proc/[0-9]*/stat; do
    read -r line < "$stat" || continue
    set -f
    set -- ${line##*) }
    set +f
    case $groups in *" $4 "*) pid=${stat#/proc/}; kill -KILL "${pid%/stat}" ;; esac
  done
done 2>/dev/null
"""


class Guardian:
    """One a node. Lives in a session of its own, so that a Ctrl-C for the node does not end it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "kernel-guardian"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, process_group: int) -> None:
        self._say(f"watch {process_group}\n")

    def forget(self, process_group: int) -> None:
        self._say(f"forget {process_group}\n")

    def close(self) -> None:
        """Ends it and what it still watches."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait(timeout=5)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        # Without its guardian a node goes on: what is lost is the clean-up after a kill of the node.
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
