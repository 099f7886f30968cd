"""Runs inside a kernel, in a sandbox or a container: what it reaches of its machine that it must not reach."""

import ctypes
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

# With unshare, mount and setns: what has been a way out before. Numbers of x86-64.
CALLS = {"keyctl": 250, "perf_event_open": 298, "bpf": 321, "io_uring_setup": 425, "open_tree": 428}
DEVICES = ("/dev/kmsg", "/dev/mem", "/dev/sda", "/dev/vda", "/dev/kvm")
KERNEL_FILES = ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/overcommit_memory")
READ_ONLY = ("/usr/x", "/x", "/dev/x", "/etc/x")


def reached(
    ports: Sequence[int], paths: Sequence[str], pids: Sequence[int], secrets: Sequence[str]
) -> list[str]:
    """Everything that worked; empty is good. `ports` of the machine's loopback; `paths` of others' files and sockets;
    `pids` of the machine's processes; `secrets`: words that are nowhere in the environment."""
    found: list[str] = []

    def attempt(name: str, work: Callable[..., object], *arguments: object) -> None:
        try:
            work(*arguments)
        except OSError:
            return
        found.append(name)

    for address in (*(("127.0.0.1", port) for port in ports), ("169.254.169.254", 80)):
        attempt(str(address), socket.create_connection, address, 0.3)
    attempt("read /etc/shadow", os.open, "/etc/shadow", os.O_RDONLY)
    for path in (*paths, "/var/run/docker.sock", "/run/docker.sock"):
        attempt(path, os.stat, path)
        attempt(f"connect {path}", socket.socket(socket.AF_UNIX).connect, path)
    for pid in pids:
        for name in ("environ", "mem", "root/etc/passwd", "cwd"):
            attempt(f"{pid} {name}", os.stat, f"/proc/{pid}/{name}")
        attempt(f"signal {pid}", os.kill, pid, 0)
    for path in (*DEVICES, *KERNEL_FILES, *READ_ONLY):
        attempt(f"write {path}", os.open, path, os.O_WRONLY | os.O_CREAT)
    return found + system_calls() + told(secrets)


def system_calls() -> list[str]:
    libc = ctypes.CDLL(None, use_errno=True)
    found = []
    if libc.unshare(0x10000000) == 0:
        found.append("unshare")
    if libc.mount(b"x", b"/tmp", b"tmpfs", 0, None) == 0:
        found.append("mount")
    if os.uname().machine == "x86_64":
        found += [name for name, number in CALLS.items() if libc.syscall(number, 0, 0, 0, 0, 0) >= 0]
    return found


def environments() -> list[str]:
    """Of all processes there are."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found.append(path.read_bytes().decode("utf-8", "replace"))
        except OSError:
            continue
    return found


def told(secrets: Sequence[str]) -> list[str]:
    """What the environment and the list of processes tell of the machine."""
    words = " ".join([*os.environ, *os.environ.values(), *environments()])
    found = [f"environment: {secret}" for secret in secrets if secret in words]
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return found + ([f"{len(processes)} processes"] if len(processes) > 10 else [])
