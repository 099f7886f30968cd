"""The kernel's ZeroMQ sockets, which nobody outside its container reaches."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

import zmq

from .protocol import CHANNELS, IOPUB


def open_sockets(
    context: zmq.Context[zmq.Socket[bytes]], *, key: bytes, is_tcp: bool, kernel_name: str
) -> tuple[dict[bytes, zmq.Socket[bytes]], Path]:
    """The sockets by the kind of their frames, and the connection file for the kernel to be. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix="kernel-"))
    names = ("shell", "iopub", "stdin", "control", "hb")
    if is_tcp:
        ip, ports = "127.0.0.1", _free_ports(names)
    else:
        ip, ports = str(folder / "k"), {name: number for number, name in enumerate(names, 1)}
    sockets: dict[bytes, zmq.Socket[bytes]] = {}
    identity = secrets.token_hex(8).encode()
    for kind, name in CHANNELS.items():
        made = context.socket(zmq.SUB if kind == IOPUB else zmq.DEALER)
        made.set(zmq.LINGER, 0)
        made.set(zmq.RCVHWM, 0)
        made.set(zmq.SNDHWM, 0)
        made.set(zmq.RECONNECT_IVL, 10)
        made.set(zmq.RECONNECT_IVL_MAX, 200)
        if kind == IOPUB:
            made.set(zmq.SUBSCRIBE, b"")
        else:
            made.set(zmq.IDENTITY, identity)  # input requests are routed by the identity on shell
        made.connect(f"tcp://{ip}:{ports[name]}" if is_tcp else f"ipc://{ip}-{ports[name]}")
        sockets[kind] = made
    path = folder / "connection.json"
    content = {
        "transport": "tcp" if is_tcp else "ipc",
        "ip": ip,
        **{f"{name}_port": port for name, port in ports.items()},
        "key": key.decode(),
        "signature_scheme": "hmac-sha256",
        "kernel_name": kernel_name,
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
    return sockets, path


def _free_ports(names: Iterable[str]) -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        ports: dict[str, int] = {}
        for name in names:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports[name] = probe.getsockname()[1]
    return ports
