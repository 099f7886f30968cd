"""Runs inside a kernel's container: what it reaches that it must not reach."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NAMES = ("valkey", "postgres", "web", "proxy", "node", "host.docker.internal")
PORTS = (22, 80, 443, 2375, 2376, 5432, 6379, 8000, 8080, 8443)


def open_door(door: tuple[str, int]) -> tuple[str, int] | None:
    with socket.socket() as probe:
        probe.settimeout(1)
        return door if probe.connect_ex(door) == 0 else None


def known_name(name: str) -> str | None:
    try:
        socket.gethostbyname(name)
    except OSError:
        return None
    return name


def tried(addresses: list[str], other_project: str, further_ports: tuple[int, ...] = ()) -> list[str]:
    """Everything that worked; empty is good. `further_ports`: where other kernels listen."""
    reached = []
    own = set()
    for line in Path("/etc/hosts").read_text().splitlines():
        own.update(line.split()[:1])
    doors = [
        (address, port)
        for address in [*addresses, "169.254.169.254"]
        for port in (*PORTS, *further_ports)
        if address not in own
    ]
    with ThreadPoolExecutor(32) as threads:
        # First, and beside each other: a name that nobody answers for takes seconds.
        found = threads.map(known_name, NAMES)
        reached += [f"{address}:{port}" for address, port in filter(None, threads.map(open_door, doors))]
        reached += [f"name {name}" for name in filter(None, found)]
    for path in (
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/data",
        "/secrets",
        "/run/zasper",
        "/dev/sda",
        "/dev/vda",
    ):
        if Path(path).exists():
            reached.append(path)
    for folder in ("/", "/opt/kernel", "/opt/zasper", "/run/kernel", "/etc", "/usr/local"):
        try:
            Path(folder, "written-by-a-kernel").write_text("x")
            reached.append(f"writes {folder}")
        except OSError:
            pass
    for path in (f"/project/../{other_project}/secret.txt", f"/{other_project}"):
        if Path(path).exists():
            reached.append(path)
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    if int(status["CapEff"], 16) or status["NoNewPrivs"].strip() != "1" or os.getuid() == 0:
        reached.append("privileges")
    reached += [
        name for name in os.environ if name.startswith(("HUB_", "NODE_", "REDIS", "DATABASE", "ZASPER"))
    ]
    processes = [path.name for path in Path("/proc").glob("[0-9]*")]
    if len(processes) > 10:
        reached.append(f"{len(processes)} processes")
    return reached
