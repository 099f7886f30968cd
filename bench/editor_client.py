"""What our own editor's sockets say and hear, as far as the measurements need it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from kernels_app.bus.identifiers import CellId
from kernels_app.bus.operations import AnyOperation, KernelChanged, KernelStateName
from kernels_app.runs.apply import CellState, apply, new_cell_state
from notebooks_app.sync.frames import Kind

_ENDED = frozenset({"ok", "error", "aborted", "cancelled", "interrupted", "died"})
EMPTY_STATE_VECTOR = b"\x00"


def notebook_of(sources: dict[str, str], kernelspec_name: str) -> bytes:
    """An `.ipynb` with a code cell for each source."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": cell_id,
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for cell_id, source in sources.items()
    ]
    kernelspec = {"name": kernelspec_name, "display_name": kernelspec_name, "language": "text"}
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 5}
    ).encode()


def open_document(client: httpx.Client, project_id: str, path: str, content: bytes) -> dict[str, Any]:
    """`{id, path, epoch}` of the live document of a file that is put there first."""
    client.put(f"projects/{project_id}/files/{path}", content=content).raise_for_status()
    document: dict[str, Any] = (
        client.post(f"projects/{project_id}/documents", json={"path": path}).raise_for_status().json()
    )
    return document


async def open_socket(base_url: str, path: str, headers: dict[str, str]) -> ClientConnection:
    return await connect(
        "ws" + base_url.removeprefix("http") + path,
        additional_headers=headers,
        compression=None,
        max_size=None,
        ping_interval=None,
        open_timeout=30,
        proxy=None,
    )


class RunsClient:
    """The runs socket of one document."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.cells: dict[CellId, CellState] = {}
        self.first_output_at: dict[str, float] = {}
        # Places in the queue for a kernel that were told, in order.
        self.positions: list[int] = []
        self.kernel_state: KernelStateName = "pending"

    @classmethod
    async def open(cls, base_url: str, document_id: str, headers: dict[str, str]) -> RunsClient:
        client = cls(await open_socket(base_url, f"/ws/runs/{document_id}", headers))
        await client._send({"type": "resume", "seq": 0})
        while (await client._receive())["type"] not in ("snapshot", "resumed"):
            pass
        return client

    async def run(
        self, cell_id: str, source: str, kernelspec_name: str, *, timeout_s: float = 60
    ) -> CellState:
        """The cell's state when its run has ended."""
        await self.start(cell_id, source, kernelspec_name)
        return await self.ended(cell_id, timeout_s=timeout_s)

    async def start(self, cell_id: str, source: str, kernelspec_name: str) -> None:
        self.first_output_at.pop(cell_id, None)
        self.cells[CellId(cell_id)] = new_cell_state()
        await self._send(
            {
                "type": "run",
                "request_id": secrets.token_hex(8),
                "cells": [{"cell_id": cell_id, "source": source}],
                "kernelspec_name": kernelspec_name,
            }
        )

    async def shut_down(self) -> None:
        """Gives the kernel back. Returns when it ends: what a page asks for as it closes may not be heard any more."""
        await self._send({"type": "shutdown"})
        while self.kernel_state not in ("stopping", "stopped"):
            await self._receive()

    async def ended(self, cell_id: str, *, timeout_s: float = 60) -> CellState:
        """Raises TimeoutError, or RuntimeError when the hub refused."""
        async with asyncio.timeout(timeout_s):
            while True:
                message = await self._receive()
                if message["type"] == "refused":
                    raise RuntimeError(f"The hub refused: {message['error']}")
                cell = self.cells.get(CellId(cell_id))
                if cell is not None and cell["outputs"]:
                    self.first_output_at.setdefault(cell_id, time.perf_counter())
                if cell is not None and cell["state"] in _ENDED:
                    return cell

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self._socket.recv())
        if message["type"] == "ping":
            await self._send({"type": "pong", "number": message["number"]})
        elif message["type"] == "kernel_notice" and message["queue_position"] is not None:
            self.positions.append(message["queue_position"])
        elif message["type"] == "ops":
            for operation in msgspec.convert(message["ops"], list[AnyOperation]):
                apply(self.cells, operation)
                if isinstance(operation, KernelChanged):
                    self.kernel_state = operation.state
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(message))

    async def close(self) -> None:
        await self._socket.close()


async def open_like_a_browser(
    base_url: str, headers: dict[str, str], project_id: str, document: dict[str, Any]
) -> list[ClientConnection]:
    """The three sockets of a notebook's page, each after its first exchange: project, document, runs."""
    project = await open_socket(base_url, f"/ws/projects/{project_id}", headers)
    await project.send(json.dumps({"type": "watch", "folders": [""]}))
    address = f"/ws/documents/{document['id']}?epoch={document['epoch']}"
    live = await open_socket(base_url, address, headers)
    hello = await live.recv()
    assert isinstance(hello, bytes)
    assert hello[0] == Kind.HELLO
    await live.send(bytes([Kind.SYNC_REQUEST]) + EMPTY_STATE_VECTOR)
    while True:
        frame = await live.recv()
        if isinstance(frame, bytes) and frame[0] == Kind.SYNC:
            break
    runs = await open_socket(base_url, f"/ws/runs/{document['id']}", headers)
    await runs.send(json.dumps({"type": "resume", "seq": 0}))
    await runs.recv()
    return [project, live, runs]
