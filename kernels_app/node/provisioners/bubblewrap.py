"""The command line that puts a program into a sandbox of bubblewrap. Pure.

Nothing of the machine is there but what is named here: programs and libraries to read, a few files of /etc, the
environment of the kernels, and the project, which alone can be written. Source: bwrap(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from kernels_app.node.provisioners.file_limit import MAX_FILE_BYTES

PROJECT = "/project"
HOME = "/home/kernel"
RUN_FOLDER = "/run/kernel"
USER_ID = 1000
NETWORKS = ("none", "host")
# Holds unix sockets and little else.
RUN_BYTES = 1 << 20
# In memory, each of them bounded.
MEMORY_FOLDERS = ("/tmp", "/dev/shm", HOME, RUN_FOLDER)  # noqa: S108  the sandbox's own

_SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Of /etc: what programs look up, nothing with secrets or accounts.
_ETC = (
    "alternatives", "bash.bashrc", "ca-certificates", "debian_version", "fonts", "gai.conf", "host.conf", "inputrc",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime", "magic", "matplotlibrc", "mime.types",
    "os-release", "pki", "protocols", "R", "services", "ssl", "terminfo", "timezone", "xattr.conf",
)  # fmt: skip
_ETC_NETWORK = ("hosts", "nsswitch.conf", "resolv.conf")
# A root user without any right may still write these where the node itself is root; others tell of the machine.
READ_ONLY_PROC = ("sys", "bus", "fs", "irq", "acpi", "driver", "tty")
HIDDEN_PROC = (
    "sysrq-trigger",
    "kcore",
    "kmsg",
    "keys",
    "key-users",
    "timer_list",
    "sched_debug",
    "latency_stats",
)

PASSWD = f"""\
kernel:x:{USER_ID}:{USER_ID}:kernel:{HOME}:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = f"kernel:x:{USER_ID}:\nnogroup:x:65534:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"
HOSTS = "127.0.0.1 localhost kernel\n::1 localhost\n"

# Inside, before the program: no core dumps, low priority, first to go when memory is short, and how much of it, how
# many processes and how large files (in blocks of 512 bytes) it may have. -p is dash's name for what bash calls -u. The
# priority of the session (see priority.py) can be set ten times a second on the whole machine: when it was another's
# turn, an orphan tries again.
START_SCRIPT = (
    "ulimit -c 0; echo 500 > /proc/self/oom_score_adj; "
    'yields() { { echo "$1" > /proc/self/autogroup; } 2>/dev/null; }; '
    'if [ -e /proc/self/autogroup ] && ! yields "$3"; then '
    '(for _ in 1 2 3 4 5 6 7 8 9; do sleep 0.15; yields "$3" && exit; done &); fi; '
    '[ "$1" = - ] || ulimit -d "$1"; [ "$2" = - ] || ulimit -p "$2" 2>/dev/null || ulimit -u "$2"; '
    'ulimit -f "$4"; nice="$3"; shift 4; exec nice -n "$nice" "$@"'
)


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides. `network`: one of NETWORKS; `readable`: further folders that kernels may read;
    `tmp_bytes`: of each folder in memory."""

    network: str = "none"
    readable: tuple[Path, ...] = ()
    tmp_bytes: int = 1 << 30
    default_memory_bytes: int | None = None
    default_process_count: int = 512
    max_file_bytes: int = MAX_FILE_BYTES


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about the machine, once. `links`: where /bin and its like point, None for a folder;
    `kernel_folders`: of the kernel environment and the Python it was made from; `proc_entries`: what of /proc has to
    be read-only or hidden."""

    program: str
    links: dict[str, str | None]
    kernel_folders: tuple[Path, ...]
    proc_entries: tuple[str, ...] = ()
    has_user_namespace: bool = True
    can_refuse_user_namespaces: bool = True


class OpenFile(msgspec.Struct, frozen=True):
    """A file to be made inside from what `descriptor` gives."""

    descriptor: int
    path: str
    is_writable: bool = False


def sandbox_words(
    machine: Machine,
    settings: SandboxSettings,
    *,
    project: Path,
    cwd: Path,
    files: Sequence[OpenFile],
    folders: Sequence[tuple[Path, str]] = (),
    tmp_bytes: int,
    status_descriptor: int,
    syscall_filter: int | None = None,
) -> list[str]:
    """bwrap and its options; the program's words come behind them. `cwd` lies in `project`; `folders`: further ones
    that can be read, and where they are inside."""
    words = [machine.program, *_namespaces(machine, settings)]
    for folder in ("/usr", *machine.links):
        target = machine.links.get(folder)
        words += ["--ro-bind", folder, folder] if target is None else ["--symlink", target, folder]
    for name in (*_ETC, *(_ETC_NETWORK if settings.network == "host" else ())):
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--proc", "/proc"]
    for name in machine.proc_entries:
        source = f"/proc/{name}" if name in READ_ONLY_PROC else "/dev/null"
        words += ["--ro-bind", source, f"/proc/{name}"]
    words += ["--dev", "/dev"]
    for folder in MEMORY_FOLDERS:
        size = RUN_BYTES if folder == RUN_FOLDER else tmp_bytes
        words += ["--perms", "0700", "--size", str(size), "--tmpfs", folder]
    words += ["--remount-ro", "/dev"]
    for path in (*machine.kernel_folders, *settings.readable):
        words += ["--ro-bind-try", str(path), str(path)]
    for path, inside in folders:
        words += ["--ro-bind", str(path), inside]
    for file in files:
        words += ["--file" if file.is_writable else "--ro-bind-data", str(file.descriptor), file.path]
    words += ["--bind", str(project), PROJECT, "--chdir", inside_project(project, cwd)]
    words += ["--remount-ro", "/", "--info-fd", str(status_descriptor)]
    if syscall_filter is not None:
        words += ["--seccomp", str(syscall_filter)]
    return [*words, "--"]


def _namespaces(machine: Machine, settings: SandboxSettings) -> list[str]:
    words = ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "kernel"]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if settings.network != "host":
        words.append("--unshare-net")
    if machine.has_user_namespace:
        words += ["--unshare-user", "--uid", str(USER_ID), "--gid", str(USER_ID)]
        if machine.can_refuse_user_namespaces:
            words.append("--disable-userns")
    return words


def start_words(
    *,
    data_bytes: int | None,
    process_count: int | None,
    file_bytes: int = MAX_FILE_BYTES,
    niceness: int,
    shell: str = "/bin/sh",
) -> list[str]:
    """What comes between bwrap's options and the program."""
    data_kib = "-" if data_bytes is None else str(max(1, data_bytes >> 10))
    count = "-" if process_count is None else str(process_count)
    return [shell, "-c", START_SCRIPT, "start", data_kib, count, str(niceness), str(file_bytes // 512)]


def inside_project(project: Path, path: Path) -> str:
    return str(Path(PROJECT) / path.relative_to(project))


def is_visible(machine: Machine, settings: SandboxSettings, program: Path) -> bool:
    """Whether a program of the machine is there in the sandbox too."""
    visible = [Path("/usr"), *map(Path, _SYSTEM_FOLDERS), *machine.kernel_folders, *settings.readable]
    return any(folder == program or folder in program.parents for folder in visible)


def proc_entries() -> tuple[str, ...]:
    """Of what has to be read-only or hidden: what there is on this machine."""
    return tuple(name for name in (*READ_ONLY_PROC, *HIDDEN_PROC) if Path(f"/proc/{name}").exists())


def system_links() -> dict[str, str | None]:
    """Of the system's folders that are there: where those that are links point."""
    found: dict[str, str | None] = {}
    for name in _SYSTEM_FOLDERS:
        path = Path(name)
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_dir():
            found[name] = None
    return found
