"""Programs that are no kernels at all: the node and the kernels beside them go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kernels_app.bus.envelopes import StopKernel
from kernels_app.bus.memory_store import forget_memory_store
from tests.kernels_app.node.running_node import RunningNode, running_node

WIRE = "hostile"

# Speaks ZeroMQ, and rubbish in it: no delimiter, no frames, wrong signatures, no UTF-8, no JSON, far too much of it.
ZEROMQ = """
import json, os, sys, zmq
info = json.load(open(sys.argv[1]))
context = zmq.Context()
sockets = {}
for number, (name, kind) in enumerate(
    (("shell", zmq.ROUTER), ("iopub", zmq.PUB), ("stdin", zmq.ROUTER), ("control", zmq.ROUTER), ("hb", zmq.REP)), 1
):
    sockets[name] = context.socket(kind)
    sockets[name].bind(f"ipc://{info['ip']}-{info[name + '_port']}")
header = b'{"msg_id": "1", "msg_type": "status", "session": "s", "username": "u", "date": "", "version": "5.4"}'
rubbish = [
    [b""], [b"x"], [b"<IDS|MSG>"], [b"<IDS|MSG>", b"0" * 64], [b"<IDS|MSG>", b"0" * 64, header, b"{}", b"{}", b"{}"],
    [b"\\xff\\xfe", b"<IDS|MSG>", b"", b"\\xff", b"\\xff", b"\\xff", b"\\xff"], [b"a"] * 500,
    [b"<IDS|MSG>", b"0" * 64, b"[" * 100000, b"{}", b"{}", b"{}"], [os.urandom(1 << 20)] * 8,
]
while True:
    identity = sockets["shell"].recv_multipart()[0]
    for frames in rubbish * 3:
        sockets["shell"].send_multipart([identity, *frames])
        sockets["iopub"].send_multipart(frames)
"""
# Does not even speak ZeroMQ: each connection gets other bytes, or none, or bytes without end.
BYTES = """
import json, os, socket, sys, threading
info = json.load(open(sys.argv[1]))
def serve(path, first):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    count = first
    while True:
        peer, _ = server.accept()
        count += 1
        greeting = b"\\xff" + bytes(8) + b"\\x7f\\x03" + bytes(53)
        words = [b"", b"\\xff" * 64, os.urandom(4096), greeting + b"\\x06" + b"\\xff" * 8]
        try:
            peer.sendall(words[count % 4] * (1 if count % 2 else 10000))
            if count % 3:
                peer.close()
        except OSError:
            pass
for number in range(1, 6):
    threading.Thread(target=serve, args=(f"{info['ip']}-{number}", number)).start()
"""

# Speaks ZeroMQ's protocol, and never ends a message.
ENDLESS = """
import json, os, socket, sys, threading
info = json.load(open(sys.argv[1]))
def serve(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    while True:
        peer, _ = server.accept()
        greeting = b"\\xff" + bytes(8) + b"\\x7f\\x03\\x00" + b"NULL".ljust(20, b"\\0") + bytes(32)
        try:
            peer.sendall(greeting)
            while True:
                peer.sendall(b"\\x01\\x01x" * 1000)
        except OSError:
            pass
for number in range(1, 6):
    threading.Thread(target=serve, args=(f"{info['ip']}-{number}",)).start()
"""


@pytest.mark.parametrize("provisioner", ["process", "sandbox"])
async def test_a_kernel_whose_message_never_ends_is_ended_and_told_why(
    tmp_path: Path, provisioner: str
) -> None:
    async with hostile_node(tmp_path, provisioner, ENDLESS) as node:
        hostile = node.notebook("hostile")
        await hostile.start()
        assert (
            "a message of more than 512 MiB, or of more than 1,000 parts"
            in (await hostile.kernel_state("killed")).reason
        )


@pytest.mark.parametrize("script", [ZEROMQ, BYTES], ids=["zeromq", "bytes"])
@pytest.mark.parametrize("provisioner", ["process", "sandbox"])
async def test_rubbish_on_the_sockets_disturbs_nobody_else(
    tmp_path: Path, provisioner: str, script: str
) -> None:
    async with hostile_node(tmp_path, provisioner, script) as node:
        await beside(node)


@contextlib.asynccontextmanager
async def hostile_node(tmp_path: Path, provisioner: str, script: str) -> AsyncIterator[RunningNode]:
    """A node with a kernelspec `hostile` that runs the script."""
    folder = tmp_path / "k" / "hostile"
    folder.mkdir(parents=True)
    (folder / "kernel.py").write_text(script)
    spec = {
        "argv": ["python", str(folder / "kernel.py"), "{connection_file}"],
        "display_name": "Hostile",
        "language": "none",
        "metadata": {"zasper": {"transport": "ipc"}},
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    forget_memory_store(WIRE)
    async with running_node(
        tmp_path / "n",
        f"memory://{WIRE}",
        kernel_path=tmp_path / "k",
        provisioner=provisioner,
        start_timeout_s=4,
    ) as node:
        yield node
    forget_memory_store(WIRE)


async def beside(node: RunningNode) -> None:
    good, hostile, other = node.notebook(), node.notebook("hostile"), node.notebook("hostile")
    await hostile.start()
    await other.start()
    await good.start()
    await other.run("print(1)")
    [first] = await good.run("print(6 * 7)")
    assert (await good.finished(first)).status == "ok"
    assert (await good.text(first)).strip() == "42"
    # It never said a word that counts.
    failed = await hostile.kernel_state("failed", "died")
    assert "Hostile" in failed.reason
    await other.send(StopKernel(fence=node.fence, kernel_id=other.kernel_id))
    await other.kernel_state("failed", "died", "stopped")
    [second] = await good.run("print('still')")
    async with asyncio.timeout(20):
        assert (await good.finished(second)).status == "ok"
