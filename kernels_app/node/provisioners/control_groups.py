"""Control groups of the operating system: limits that hold whatever a kernel does.

Version 2 bounds memory, processor time and processes. On a machine with version 1 processor time and processes are
bounded too; its memory controller is left alone, there the watchdog sees to memory. Sources: the kernel's
Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from kernels_app.bus.envelopes import Limits

logger = logging.getLogger(__name__)

CPU_PERIOD_US = 100_000
# A group can be removed when the last of its processes is gone, which may take a moment after their kill.
REMOVE_S = 2.0
LEFTOVER_S = 60.0
_WANTED = ("memory", "cpu", "pids")
# Puts itself into the groups named before `--` and becomes the program after it. A shell adds its folder to the
# environment: where that is on this machine is nobody's business in a sandbox.
ENTER_SCRIPT = (
    'while [ "$1" != -- ]; do echo 0 > "$1" || exit 125; shift; done; shift; unset PWD OLDPWD; exec "$@"'
)


class ControlGroup:
    """The group of one kernel, for as long as it runs."""

    def __init__(self, folders: Mapping[str, Path], name: str, *, is_version_2: bool) -> None:
        """Raises OSError."""
        self._folders = {controller: parent / name for controller, parent in folders.items()}
        self._is_version_2 = is_version_2
        for folder in set(self._folders.values()):
            folder.mkdir()

    @property
    def enter_words(self) -> list[str]:
        """What a command line begins with so that its program starts in the group."""
        files = sorted({str(folder / "cgroup.procs") for folder in self._folders.values()})
        return ["/bin/sh", "-c", ENTER_SCRIPT, "enter-group", *files, "--"]

    def limit(self, limits: Limits) -> None:
        """Sets what its processes may use from now on. Raises OSError."""
        if "pids" in self._folders:
            count = "max" if limits.process_count is None else str(limits.process_count)
            (self._folders["pids"] / "pids.max").write_text(count)
        if "cpu" in self._folders:
            self._limit_cpu(self._folders["cpu"], limits.cpu_cores)
        if "memory" in self._folders:
            folder = self._folders["memory"]
            (folder / "memory.max").write_text(
                "max" if limits.memory_bytes is None else str(limits.memory_bytes)
            )
            for name, text in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
                with contextlib.suppress(OSError):  # built without swap, or too old
                    (folder / name).write_text(text)

    def _limit_cpu(self, folder: Path, cores: float | None) -> None:
        if self._is_version_2:
            quota = "max" if cores is None else str(int(cores * CPU_PERIOD_US))
            (folder / "cpu.max").write_text(f"{quota} {CPU_PERIOD_US}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(CPU_PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(
                "-1" if cores is None else str(int(cores * CPU_PERIOD_US))
            )

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the operating system ended processes of it because of its memory limit."""
        if "memory" not in self._folders:
            return False
        with contextlib.suppress(OSError, ValueError):
            for line in (self._folders["memory"] / "memory.events").read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count) > 0
        return False

    def remove(self) -> None:
        """Ends what is left in it. To be called in a thread: waits until its processes are gone."""
        deadline = time.monotonic() + REMOVE_S
        for folder in set(self._folders.values()):
            while True:
                for pid in _pids(folder):
                    with contextlib.suppress(OSError):
                        os.kill(pid, 9)
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError as error:
                    if time.monotonic() > deadline:
                        logger.warning("A control group stays behind: %s", error)
                        break
                    time.sleep(0.01)


class ControlGroups:
    """Where this node may make groups. `find` looks for it; None where it may not."""

    def __init__(self, folders: Mapping[str, Path], node_id: str, *, is_version_2: bool) -> None:
        self._folders = dict(folders)
        self._prefix = f"zasper-{node_id}-"
        self._is_version_2 = is_version_2

    @property
    def controllers(self) -> frozenset[str]:
        return frozenset(self._folders)

    def make(self, kernel_id: str, limits: Limits) -> ControlGroup:
        """A new group with these limits. Raises OSError."""
        name = "".join(letter for letter in kernel_id if letter.isalnum() or letter == "-")[:40]
        group = ControlGroup(
            self._folders, f"{self._prefix}{name}-{secrets.token_hex(3)}", is_version_2=self._is_version_2
        )
        try:
            group.limit(limits)
        except OSError:
            group.remove()
            raise
        return group

    def remove_leftovers(self) -> None:
        """Empty groups of an earlier life of the node. Not new ones: another hub's node on this machine may have the
        same name, and its kernel may be about to enter."""
        for folder in set(self._folders.values()):
            for left in folder.glob(f"{self._prefix}*"):
                with contextlib.suppress(OSError):
                    if time.time() - left.stat().st_mtime > LEFTOVER_S:
                        left.rmdir()


def find_control_groups(
    node_id: str,
    *,
    root: Path = Path("/sys/fs/cgroup"),
    own: str | None = None,
    given: Path | None = None,
) -> ControlGroups | None:
    """Tries them out. `own`: what /proc/self/cgroup says; `given`: a folder that an administrator handed over.
    Blocking, a few milliseconds."""
    if own is None:
        try:
            own = Path("/proc/self/cgroup").read_text()
        except OSError:
            return None
    found = [
        ControlGroups(folders, node_id, is_version_2=is_version_2)
        for is_version_2, folders in (
            (True, _version_2_folders(root, own, given)),
            (False, _version_1_folders(root, own)),
        )
        if folders
    ]
    for groups in found:
        groups.remove_leftovers()
        if _works(groups):
            return groups
    return None


def _version_2_folders(root: Path, own: str, given: Path | None) -> dict[str, Path]:
    """The nearest group from the node's own upwards whose children can have limits."""
    if not (root / "cgroup.controllers").is_file():
        return {}
    path = next((line[3:] for line in own.splitlines() if line.startswith("0::/")), None)
    if path is None:
        return {}
    own_folder = root / path.lstrip("/")
    candidates = [given] if given is not None else [own_folder, *own_folder.parents]
    for folder in candidates:
        if folder != root and root not in folder.parents:
            break
        enabled = _enabled(folder)
        if "pids" in enabled and os.access(folder, os.W_OK):
            return {name: folder for name in _WANTED if name in enabled}
    return {}


def _enabled(folder: Path) -> set[str]:
    """Controllers its children have, after all that can be switched on are."""
    switch = folder / "cgroup.subtree_control"
    with contextlib.suppress(OSError):
        for name in set(_WANTED) & set((folder / "cgroup.controllers").read_text().split()):
            # Refused where the group itself has processes, or is somebody else's.
            with contextlib.suppress(OSError):
                switch.write_text(f"+{name}")
        return set(switch.read_text().split())
    return set()


def _version_1_folders(root: Path, own: str) -> dict[str, Path]:
    folders = {}
    for line in own.splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        for name in set(names.split(",")) & {"cpu", "pids"}:
            folder = root / name / path.lstrip("/")
            if os.access(folder, os.W_OK):
                folders[name] = folder
    return folders


def _works(groups: ControlGroups) -> bool:
    limits = Limits(memory_bytes=64 << 20, cpu_cores=1.0, process_count=8)
    try:
        group = groups.make("probe", limits)
    except OSError as error:
        logger.info("Control groups cannot be used: %s", error)
        return False
    try:
        return subprocess.run([*group.enter_words, "/bin/true"], check=False, timeout=5).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        group.remove()


def _pids(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except (OSError, ValueError):
        return []
