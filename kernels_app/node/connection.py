"""Where one launch of a kernel listens, and the file that tells it.

Source: jupyter_client's connection file format.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from pathlib import Path
from typing import Literal

import msgspec

PORT_NAMES = ("shell", "iopub", "stdin", "control", "hb")
# A unix socket's path has at most 107 bytes; kernels add "-1" to "-5".
MAX_SOCKET_PATH_BYTES = 100


class Connection(msgspec.Struct, frozen=True):
    """`ip` is a path prefix for `ipc`, an address for `tcp`."""

    transport: Literal["ipc", "tcp"]
    ip: str
    ports: dict[str, int]
    key: str

    def endpoint(self, channel: str) -> str:
        separator = "-" if self.transport == "ipc" else ":"
        return f"{self.transport}://{self.ip}{separator}{self.ports[channel]}"

    def file_content(self, kernelspec_name: str) -> bytes:
        """JSON of the connection file."""
        return msgspec.json.encode(
            {
                "transport": self.transport,
                "ip": self.ip,
                **{f"{name}_port": self.ports[name] for name in PORT_NAMES},
                "key": self.key,
                "signature_scheme": "hmac-sha256",
                "kernel_name": kernelspec_name,
            }
        )

    def remove_sockets(self) -> None:
        """What a killed kernel left of its unix sockets."""
        if self.transport == "ipc":
            for port in self.ports.values():
                Path(f"{self.ip}-{port}").unlink(missing_ok=True)


def ipc_connection(folder: Path) -> Connection:
    """Unix sockets with short random names. Raises ValueError when the folder's path is too long."""
    prefix = str(folder / secrets.token_hex(4))
    if len(prefix.encode()) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"The path of {folder} is too long for unix sockets.")
    ports = {name: number for number, name in enumerate(PORT_NAMES, start=1)}
    return Connection("ipc", prefix, ports, secrets.token_hex(32))


def tcp_connection() -> Connection:
    """Free ports of the loopback interface, for kernels that know nothing else."""
    with contextlib.ExitStack() as stack:
        ports: dict[str, int] = {}
        for name in PORT_NAMES:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports[name] = probe.getsockname()[1]
    return Connection("tcp", "127.0.0.1", ports, secrets.token_hex(32))
