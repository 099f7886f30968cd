"""A node that does what a test says: it registers, holds its lease, reads its commands, writes output logs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from kernels_app.bus.envelopes import (
    AnyCommand,
    AnyEvent,
    Execute,
    KernelEvent,
    KernelSpecInfo,
    NodeInfo,
    NodeKernels,
    NodeStarted,
    RunNote,
    StartKernel,
    decode_command,
    encode,
)
from kernels_app.bus.identifiers import (
    EVENTS_STREAM,
    NODE_KERNELS_KEY,
    NODES_KEY,
    RUNS_STREAM,
    CellId,
    DocumentId,
    KernelId,
    NodeId,
    RunId,
    StreamId,
    command_stream,
    make_seq,
    node_lease,
    run_log,
    run_topic,
)
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import (
    AnyOperation,
    Finished,
    KernelChanged,
    KernelStateName,
    Queued,
    RunStatus,
    Started,
    Stream,
    encode_batch,
)
from kernels_app.bus.transport import Publication

PYTHON = KernelSpecInfo(name="python3", display_name="Python 3", language="python")
DENO = KernelSpecInfo(name="deno", display_name="Deno", language="typescript")

CommandT = TypeVar("CommandT", bound=AnyCommand)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class ScriptedNode:
    """Synchronous: a test calls it between the steps it looks at."""

    def __init__(
        self,
        store: MemoryStore,
        name: str = "node-a",
        *,
        kernelspecs: Sequence[KernelSpecInfo] = (PYTHON, DENO),
        memory_bytes: int = 8 << 30,
        kernel_count: int = 0,
        slot_count: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.store = store
        self.node_id = NodeId(name)
        fence = store.acquire_lease(node_lease(self.node_id), f"holder-of-{name}", 60)
        assert fence is not None
        self.fence = fence
        self.info = NodeInfo(
            node_id=self.node_id,
            fence=fence,
            provisioner="scripted",
            kernelspecs=list(kernelspecs),
            memory_bytes=memory_bytes,
            cpu_count=2,
            kernel_count=kernel_count,
            renewed_at=now_ms(),
            slot_count=slot_count,
            labels=dict(labels or {}),
        )
        store.put_field(NODES_KEY, self.node_id, msgspec.json.encode(self.info))
        self._read_up_to = StreamId("0-0")
        self._generations: dict[DocumentId, int] = {}
        self._numbers: dict[DocumentId, int] = {}

    def leave(self) -> None:
        """Its lease runs out."""
        self.store.release_lease(node_lease(self.node_id), f"holder-of-{self.node_id}", self.fence)

    def register(self, **changes: object) -> None:
        """Its entry again, with other values."""
        self.info = msgspec.structs.replace(self.info, **changes)
        self.store.put_field(NODES_KEY, self.node_id, msgspec.json.encode(self.info))

    def list_kernels(self, *kernel_ids: KernelId) -> None:
        listed = NodeKernels(fence=self.fence, kernel_ids=list(kernel_ids))
        self.store.put_field(NODE_KERNELS_KEY, self.node_id, msgspec.json.encode(listed))

    def announce(self, adopted: Sequence[KernelId] = ()) -> None:
        self.tell(
            NodeStarted(
                node_id=self.node_id,
                fence=self.fence,
                at=now_ms(),
                info=msgspec.json.encode(self.info),
                adopted=list(adopted),
            )
        )

    def tell(self, event: AnyEvent) -> None:
        self.store.write([Publication(encode(event), log=EVENTS_STREAM)])

    def tell_kernel(self, kernel_id: KernelId, state: KernelStateName, reason: str = "") -> None:
        self.tell(
            KernelEvent(
                node_id=self.node_id,
                fence=self.fence,
                at=now_ms(),
                kernel_id=kernel_id,
                state=state,
                reason=reason,
            )
        )

    def commands(self) -> list[AnyCommand]:
        """What came since the last call."""
        entries = self.store.read_log(command_stream(self.node_id), self._read_up_to, None)
        if entries:
            self._read_up_to = entries[-1].id
        decoded = [decode_command(entry.payload) for entry in entries]
        found = [command for command in decoded if isinstance(command, AnyCommand)]
        for command in found:
            if isinstance(command, StartKernel) and command.document_id is not None:
                self._generations[command.document_id] = command.log_generation
                self._numbers.setdefault(command.document_id, 0)
        return found

    def command(self, kind: type[CommandT]) -> CommandT:
        """The one new command, of this kind."""
        [found] = self.commands()
        assert isinstance(found, kind), found
        return found

    # The output log

    def write(self, document_id: DocumentId, *operations: AnyOperation, note: bool = True) -> bool:
        """One batch, numbered; False when the log refused it."""
        numbered: list[AnyOperation] = []
        for operation in operations:
            self._numbers[document_id] += 1
            seq = make_seq(self._generations[document_id], self._numbers[document_id])
            numbered.append(msgspec.structs.replace(operation, seq=seq))
        last = numbered[-1].seq
        payload = encode_batch(numbered)
        [entry_id] = self.store.write(
            [Publication(payload, log=run_log(document_id), entry_id=StreamId(f"{last}-0"))]
        )
        if entry_id is not None:
            self.store.write([Publication(payload, topic=run_topic(document_id))])
            if note:
                self.store.write(
                    [Publication(encode(RunNote(document_id=document_id, seq=last)), log=RUNS_STREAM)]
                )
        return entry_id is not None

    def kernel(self, start: StartKernel, state: KernelStateName, reason: str = "") -> None:
        """The kernel's state, in the log and as an event."""
        assert start.document_id is not None
        self.write(
            start.document_id,
            KernelChanged(
                seq=0,
                at=now_ms(),
                kernel_id=start.kernel_id,
                kernelspec_name=start.kernelspec_name,
                state=state,
                reason=reason,
            ),
        )
        self.tell_kernel(start.kernel_id, state, reason)

    def bring_up(self) -> StartKernel:
        """Takes the start command that waits, and starts the kernel."""
        start = self.command(StartKernel)
        self.kernel(start, "starting")
        self.kernel(start, "idle")
        return start

    def take(self, document_id: DocumentId, execute: Execute) -> None:
        self.write(document_id, *(queued(cell.cell_id, cell.run_id) for cell in execute.cells))

    def finish_all(self, document_id: DocumentId, execute: Execute, text: str = "done\n") -> None:
        """Runs the cells of a command: each prints `text`."""
        self.take(document_id, execute)
        for cell in execute.cells:
            self.write(
                document_id, started(cell.cell_id, cell.run_id), stream(cell.cell_id, cell.run_id, 0, text)
            )
            self.write(document_id, finished(cell.cell_id, cell.run_id, "ok", count=1))


def queued(cell_id: CellId, run_id: RunId) -> Queued:
    return Queued(seq=0, at=now_ms(), cell_id=cell_id, run_id=run_id)


def started(cell_id: CellId, run_id: RunId) -> Started:
    return Started(seq=0, at=now_ms(), cell_id=cell_id, run_id=run_id)


def stream(cell_id: CellId, run_id: RunId, index: int, text: str) -> Stream:
    return Stream(seq=0, at=now_ms(), cell_id=cell_id, run_id=run_id, index=index, name="stdout", text=text)


def finished(cell_id: CellId, run_id: RunId, status: RunStatus, count: int | None = None) -> Finished:
    at = now_ms()
    return Finished(
        seq=0,
        at=at,
        cell_id=cell_id,
        run_id=run_id,
        status=status,
        execution_count=count,
        started_at=at,
        finished_at=at,
    )
