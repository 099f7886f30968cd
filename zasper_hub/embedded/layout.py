"""Where the embedded hub keeps what, and the checks before anything starts. No Django."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# sun_path of a Unix socket holds 108 bytes with its NUL; kernels add names of their own below it.
MAX_RUN_DIR_LENGTH = 60


class StartRefused(Exception):
    """Why the hub does not start: one line for the person who started it."""


@dataclass(frozen=True)
class Layout:
    """Folders of a data directory."""

    data_dir: Path
    run_dir: Path

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def projects_dir(self) -> Path:
        return self.data_dir / "projects"

    @property
    def spool_dir(self) -> Path:
        """Where web spools what is being uploaded."""
        return self.data_dir / "spool"

    @property
    def valkey_socket(self) -> Path:
        return self.run_dir / "valkey.sock"


def run_dir_of(data_dir: Path) -> Path:
    """Folder for sockets: in the data directory, or a short private one when its path is too long."""
    inside = data_dir / "run"
    if len(str(inside)) <= MAX_RUN_DIR_LENGTH:
        return inside
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"zasper-hub-{os.getuid()}-{name}"


def prepare_layout(data_dir: Path) -> Layout:
    """Make the folders, private to this user.

    Raises:
        StartRefused: the data directory cannot be written, or its socket folder is somebody else's.
    """
    data_dir = data_dir.resolve()
    layout = Layout(data_dir=data_dir, run_dir=run_dir_of(data_dir))
    try:
        for folder in (data_dir, layout.run_dir, layout.logs_dir, layout.projects_dir, layout.spool_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Root may write where the mode says no; a read-only file system says it only when tried.
        with tempfile.NamedTemporaryFile(dir=data_dir, prefix=".writable-"):
            pass
    except OSError as error:
        raise StartRefused(
            f"The data directory {data_dir} cannot be written ({error.strerror}). "
            "Make it writable, or name another one with HUB_DATA_DIR."
        ) from error
    if layout.run_dir.stat().st_uid != os.getuid():
        raise StartRefused(f"The folder {layout.run_dir} belongs to somebody else; remove it.")
    return layout


def lock_data_dir(layout: Layout) -> IO[str]:
    """Hold the data directory for this process; close the result to let go.

    Raises:
        StartRefused: another hub holds it.
    """
    lock = (layout.data_dir / "hub.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise StartRefused(
            f"Another hub is running over {layout.data_dir}"
            + (f" (process {holder})" if holder else "")
            + ". Stop it first, or name another data directory with HUB_DATA_DIR."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, kept by the parent so that a restart of web refuses nobody.

    Raises:
        StartRefused: the port is taken, or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise StartRefused(
            f"Port {port} on {host} cannot be used ({error.strerror}). "
            "Stop what uses it, or name another one: HUB_PORT=8001 make run"
        ) from error
    return listener
