"""A whole node in the test's event loop, with real kernels, and the hub's side of its wire."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from kernels_app.bus.envelopes import (
    AnyCommand,
    AskKernel,
    CellSource,
    Execute,
    KernelAnswer,
    KernelEvent,
    Limits,
    NodeStarted,
    StartKernel,
    decode_event,
    decode_mail,
    encode,
)
from kernels_app.bus.identifiers import (
    EVENTS_STREAM,
    CellId,
    DocumentId,
    KernelId,
    Mailbox,
    NodeId,
    RunId,
    command_stream,
    mailbox_stream,
    run_log,
)
from kernels_app.bus.opening import open_transport
from kernels_app.bus.operations import AnyOperation, Finished, KernelChanged, Stream, decode_batch
from kernels_app.bus.transport import Publication, Transport
from kernels_app.node.config import NodeConfig
from kernels_app.node.isolation import find_isolation
from kernels_app.node.kernelspecs import write_deno_kernelspec
from kernels_app.node.local_launching import local_launching
from kernels_app.node.provisioners.bubblewrap import SandboxSettings
from kernels_app.node.provisioners.guardian import Guardian
from kernels_app.node.supervisor import Supervisor
from kernels_app.node.zeromq.channels import KernelContext

ROOT = Path(__file__).parents[3]
KERNEL_PYTHON = ROOT / ".kernel-venv" / "bin" / "python"
NODE_ID = NodeId("test-node")
DEADLINE_S = 40.0

Found = TypeVar("Found")


class Notebook:
    """One document and its kernel, as the hub and a browser see them."""

    def __init__(self, wire: Transport, fence: int, kernelspec_name: str = "python3") -> None:
        self.kernel_id = KernelId(str(uuid.uuid4()))
        self.document_id = DocumentId(str(uuid.uuid4()))
        self.fence = fence
        self._wire = wire
        self._kernelspec_name = kernelspec_name

    async def send(self, command: AnyCommand) -> None:
        await self._wire.write([Publication(encode(command), log=command_stream(NODE_ID))])

    async def start(self, limits: Limits | None = None, **changes: Any) -> None:
        values: dict[str, Any] = {
            "fence": self.fence,
            "kernel_id": self.kernel_id,
            "kernelspec_name": self._kernelspec_name,
            "project_path": "project",
            "cwd": "",
            "environment": {},
            "limits": limits or Limits(),
            "document_id": self.document_id,
            "log_generation": 1,
        }
        await self.send(StartKernel(**{**values, **changes}))

    async def run(self, *sources: str, stop_on_error: bool = True) -> list[RunId]:
        """Cells `c1`, `c2`, …"""
        cells = [
            CellSource(CellId(f"c{number}"), RunId(str(uuid.uuid4())), source)
            for number, source in enumerate(sources, start=1)
        ]
        await self.send(
            Execute(
                fence=self.fence,
                kernel_id=self.kernel_id,
                request_id=str(uuid.uuid4()),
                cells=cells,
                stop_on_error=stop_on_error,
            )
        )
        return [cell.run_id for cell in cells]

    async def ask(self, message_type: str, content: bytes) -> KernelAnswer:
        mailbox = Mailbox(f"test-{uuid.uuid4()}")
        await self.send(
            AskKernel(
                fence=self.fence,
                kernel_id=self.kernel_id,
                request_id="ask",
                reply_to=mailbox,
                message_type=message_type,
                content=content,
            )
        )
        async with asyncio.timeout(DEADLINE_S):
            async for entry in self._wire.follow_log(mailbox_stream(mailbox), after=_START):
                mail = decode_mail(entry.payload)
                assert isinstance(mail, KernelAnswer)
                return mail
        raise AssertionError

    async def operations(self) -> list[AnyOperation]:
        """All of the log; the order is checked."""
        found = [
            operation
            for entry in await self._wire.read_log(run_log(self.document_id))
            for operation in decode_batch(entry.payload).ops
        ]
        numbers = [operation.seq for operation in found]
        assert numbers == sorted(set(numbers)), "sequence numbers rise"
        return found

    async def wait_for(self, check: Callable[[list[AnyOperation]], Found | None]) -> Found:
        """What `check` finds in the log, as soon as it does."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = check(await self.operations())
                if found is not None:
                    return found
                await asyncio.sleep(0.01)

    async def finished(self, run_id: RunId) -> Finished:
        def check(operations: list[AnyOperation]) -> Finished | None:
            return next(
                (item for item in operations if isinstance(item, Finished) and item.run_id == run_id), None
            )

        return await self.wait_for(check)

    async def kernel_state(self, *names: str) -> KernelChanged:
        """The last state in the log, once it is one of these."""

        def check(operations: list[AnyOperation]) -> KernelChanged | None:
            states = [item for item in operations if isinstance(item, KernelChanged)]
            return states[-1] if states and states[-1].state in names else None

        return await self.wait_for(check)

    async def text(self, run_id: RunId, name: str = "stdout") -> str:
        """What was streamed to the head of the cell, without rewrites."""
        return "".join(
            item.text
            for item in await self.operations()
            if isinstance(item, Stream) and item.run_id == run_id and item.name == name
        )


_START: Any = "0-0"


class RunningNode:
    def __init__(self, supervisor: Supervisor, wire: Transport, guardian: Guardian) -> None:
        self.supervisor = supervisor
        self.wire = wire
        self.guardian = guardian
        self.fence = 0

    def notebook(self, kernelspec_name: str = "python3") -> Notebook:
        return Notebook(self.wire, self.fence, kernelspec_name)

    async def events(self) -> list[Any]:
        return [decode_event(entry.payload) for entry in await self.wire.read_log(EVENTS_STREAM)]

    async def event_of(self, kind: type[Found]) -> Found:
        """The first event of this kind."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for event in await self.events():
                    if isinstance(event, kind):
                        return event
                await asyncio.sleep(0.01)

    async def kernel_event(self, kernel_id: KernelId, *names: str) -> KernelEvent:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for event in await self.events():
                    if (
                        isinstance(event, KernelEvent)
                        and event.kernel_id == kernel_id
                        and event.state in names
                    ):
                        return event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running_node(
    folder: Path,
    url: str,
    *,
    start_timeout_s: float = 30.0,
    kernel_path: Path | None = None,
    provisioner: str = "process",
    default_memory_bytes: int | None = None,
) -> AsyncIterator[RunningNode]:
    """Up when entered, stopped when left."""
    write_deno_kernelspec(KERNEL_PYTHON)
    projects_root = folder / "projects"
    (projects_root / "project").mkdir(parents=True, exist_ok=True)
    config = NodeConfig(
        node_id=NODE_ID,
        holder="test",
        redis_url=url,
        projects_root=projects_root,
        run_dir=folder / "run",
        kernel_python=KERNEL_PYTHON,
        kernel_path=[] if kernel_path is None else [kernel_path],
        start_timeout_s=start_timeout_s,
        provisioner=provisioner,
        default_memory_bytes=default_memory_bytes,
        sandbox=SandboxSettings(default_memory_bytes=default_memory_bytes),
    )
    guardian, context = Guardian(), KernelContext()
    transport, wire = open_transport(url), open_transport(url)
    found = find_isolation(config)
    launcher, make_terminal = local_launching(config, found, guardian, os.environ)
    supervisor = Supervisor(
        config,
        transport=transport,
        launcher=launcher,
        context=context,
        clock_ms=lambda: time.time_ns() // 1_000_000,
        isolation=found,
        make_terminal=make_terminal,
    )
    node = RunningNode(supervisor, wire, guardian)
    task = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            while node.fence == 0:
                assert not task.done(), task
                for event in await node.events():
                    if isinstance(event, NodeStarted):
                        node.fence = event.fence
                await asyncio.sleep(0.005)
        yield node
    finally:
        supervisor.stop()
        await asyncio.gather(task, return_exceptions=True)
        context.close()
        await transport.close()
        await wire.close()
        guardian.close()
