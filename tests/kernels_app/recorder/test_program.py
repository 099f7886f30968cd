"""The recorder as a whole over the in-memory wire, killed and interrupted at will."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from channels.db import database_sync_to_async
from django.db import DataError, InterfaceError, OperationalError

from kernels_app.bus.envelopes import Execute, KernelEvent, RunNote, StartKernel, encode
from kernels_app.bus.identifiers import (
    DOCUMENTS_STREAM,
    EVENTS_STREAM,
    RECORDER_GROUP,
    RUNS_STREAM,
    CellId,
    DocumentId,
    KernelId,
    RunId,
    blob_key,
    run_log,
    run_log_trimmed,
)
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import BlobRef, Counted, StreamChunk
from kernels_app.bus.transport import Publication
from kernels_app.models import Kernel, Run
from kernels_app.recorder import output_logs, program, retention, rows
from kernels_app.recorder.program import Recorder
from kernels_app.recorder.rows import apply_operations
from kernels_app.services.endings import record_kernel_event
from kernels_app.services.runs import CellToRun, run_cells
from notebooks_app.models import CellOutput, Document
from notebooks_app.storage.blobs import load_blob
from notebooks_app.storage.project_files import content_store
from notebooks_app.wire import close_hub_transport, hub_transport
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode, finished, started, stream

pytestmark = pytest.mark.django_db(transaction=True)

C1 = CellId("c1")
DEADLINE_S = 30.0
T = TypeVar("T")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ROUND_S", 0.01)
    monkeypatch.setattr(program, "DOCUMENTS_ROUND_S", 0.01)
    monkeypatch.setattr(program, "READ_WAIT_MS", 50)
    monkeypatch.setattr(program, "FIRST_RETRY_S", 0.01)


class Scene:
    """A notebook, its node, and a started run of its first cell."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.cast: Cast = make_cast()
        self.document = make_document(self.cast, "print('line')", "2")
        self.node = ScriptedNode(store)
        self.key = DocumentId(str(self.document.pk))
        accepted = run_cells(
            user=self.cast.alice,
            document=self.document,
            request_id="r",
            cells=[CellToRun("c1", "print('line')"), CellToRun("c2", "2")],
        )
        self.start, self.execute = self._commands()
        self.run_id = RunId(str(accepted.run_ids[0]))

    def _commands(self) -> tuple[StartKernel, Execute]:
        start, execute = self.node.commands()
        assert isinstance(start, StartKernel)
        assert isinstance(execute, Execute)
        return start, execute

    def begin(self) -> None:
        self.node.kernel(self.start, "idle")
        self.node.take(self.key, self.execute)
        self.node.write(self.key, started(C1, self.run_id))

    def line(self, number: int) -> None:
        self.node.write(self.key, stream(C1, self.run_id, 0, f"{number}\n"))

    def end(self) -> None:
        self.node.write(self.key, finished(C1, self.run_id, "ok", count=1))

    def text(self) -> str | None:
        row = CellOutput.objects.filter(document=self.document, cell_id="c1").first()
        return "".join(output["text"] for output in row.outputs) if row is not None else None

    def run_state(self) -> str:
        return Run.objects.get(pk=self.run_id).state

    def is_finished(self) -> bool:
        return self.run_state() == "ok"


@asynccontextmanager
async def recording() -> AsyncIterator[asyncio.Task[None]]:
    """A recorder, until left; it ends at once, with whatever it was doing undone or done."""
    task = asyncio.create_task(Recorder(await hub_transport()).run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def scene(hub_wire: MemoryStore, transactional_db: None) -> AsyncIterator[Scene]:
    yield await database_sync_to_async(Scene)(hub_wire)
    await close_hub_transport()


async def until(look: Callable[[], T]) -> T:
    """What `look` sees as soon as it is true; it looks into the database."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                seen: T = await database_sync_to_async(look)()
            except OperationalError:  # the test's database in memory is locked as a whole
                seen = False  # type: ignore[assignment]
            if seen:
                return seen
            await asyncio.sleep(0.01)


async def test_what_a_node_wrote_is_in_the_rows_and_nothing_is_left_to_acknowledge(scene: Scene) -> None:
    async with recording():
        scene.begin()
        for number in range(20):
            scene.line(number)
        scene.end()
        await until(scene.is_finished)
        assert await database_sync_to_async(scene.text)() == "".join(f"{n}\n" for n in range(20))
        transport = await hub_transport()
        await until(lambda: not scene.store.read_log(RUNS_STREAM, "0-0", None))  # type: ignore[arg-type]
    left = await transport.read_group(
        [RUNS_STREAM, EVENTS_STREAM], group=RECORDER_GROUP, consumer="recorder-runs", count=10, wait_ms=0
    )
    assert left == []


@pytest.mark.parametrize("seed", range(6))
async def test_killed_and_cut_off_at_any_moment_each_line_is_there_once(scene: Scene, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    scene.begin()
    lines = 0
    for _ in range(8):
        async with recording():
            for _ in range(chance.randrange(1, 12)):
                match chance.randrange(8):
                    case 0:
                        scene.store.set_down(True)
                        await asyncio.sleep(chance.random() * 0.02)
                        scene.store.set_down(False)
                    case 1:
                        await asyncio.sleep(chance.random() * 0.05)
                    case 2:
                        await asyncio.sleep(0)
                    case _:
                        scene.line(lines)
                        lines += 1
    scene.end()
    async with recording():
        await until(scene.is_finished)
    assert await database_sync_to_async(scene.text)() == "".join(f"{n}\n" for n in range(lines))


async def test_notes_that_were_lost_are_made_up_for_at_the_start(scene: Scene) -> None:
    scene.begin()
    scene.node.write(
        scene.key, stream(C1, scene.run_id, 0, "x"), finished(C1, scene.run_id, "ok"), note=False
    )
    scene.store.delete_log(RUNS_STREAM)
    async with recording():
        await until(scene.is_finished)


async def test_the_database_away_for_a_while_loses_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = apply_operations
    failures = iter([True, True, True])

    def apply(*args: object, **kwargs: object) -> object:
        if next(failures, False):
            raise OperationalError("database is locked")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(output_logs, "apply_operations", apply)
    scene.begin()
    scene.line(1)
    scene.end()
    async with recording():
        await until(scene.is_finished)
    assert await database_sync_to_async(scene.text)() == "1\n"
    assert next(failures, None) is None, "it did fail"


@pytest.mark.parametrize("trouble", [RuntimeError("odd rows"), DataError("integer out of range")])
async def test_one_documents_trouble_is_not_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    real = apply_operations
    other = await database_sync_to_async(make_document)(scene.cast, "1", path="other.ipynb")

    def apply(document_id: object, *args: object, **kwargs: object) -> object:
        if document_id == other.pk:
            raise trouble
        return real(document_id, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(output_logs, "apply_operations", apply)
    monkeypatch.setattr(rows, "apply_operations", apply)
    key = DocumentId(str(other.pk))
    scene.node._generations[key], scene.node._numbers[key] = 1, 0
    scene.node.write(key, started(C1, RunId("x")))
    scene.begin()
    scene.end()
    async with recording():
        await until(scene.is_finished)
        await until(lambda: not scene.store.read_log(RUNS_STREAM, "0-0", None))  # type: ignore[arg-type]


async def test_a_value_that_fits_in_no_row_costs_its_operation_only(scene: Scene) -> None:
    scene.begin()
    scene.node.write(scene.key, Counted(seq=0, at=1, cell_id=C1, run_id=scene.run_id, execution_count=2**70))
    scene.line(1)
    scene.node.write(scene.key, finished(C1, scene.run_id, "ok"))
    async with recording():
        await until(scene.is_finished)
    assert await database_sync_to_async(scene.text)() == "1\n"


async def test_an_event_that_cannot_be_recorded_holds_no_other_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = record_kernel_event
    told: list[str] = []

    def record(event: KernelEvent) -> None:
        if event.reason == "a\x00b":
            raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        real(event)
        told.append(event.kernel_id)

    monkeypatch.setattr(program, "record_kernel_event", record)
    scene.node.tell_kernel(scene.start.kernel_id, "died", "a\x00b")
    other = KernelId("00000000-0000-0000-0000-000000000007")
    scene.node.tell_kernel(other, "idle")
    async with recording():
        await until(lambda: other in told)
        await until(lambda: not scene.store.read_log(EVENTS_STREAM, "0-0", None))  # type: ignore[arg-type]


async def test_an_event_waits_while_the_database_is_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = record_kernel_event
    failures = iter([OperationalError("closed"), InterfaceError("closed"), OperationalError("closed")])
    told: list[str] = []

    def record(event: KernelEvent) -> None:
        if (failure := next(failures, None)) is not None:
            raise failure
        real(event)
        told.append(event.kernel_id)

    monkeypatch.setattr(program, "record_kernel_event", record)
    scene.node.tell_kernel(scene.start.kernel_id, "idle")
    async with recording():
        await until(lambda: scene.start.kernel_id in told)


async def test_rubbish_on_the_streams_is_passed_over(scene: Scene) -> None:
    rubbish = [
        Publication(b"\xff\x00 no message", log=stream_name)
        for stream_name in (RUNS_STREAM, EVENTS_STREAM, DOCUMENTS_STREAM)
    ]
    gone = RunNote(document_id=DocumentId("00000000-0000-0000-0000-000000000001"), seq=1)
    odd = RunNote(document_id=DocumentId("../etc"), seq=1)
    scene.store.write([*rubbish, *(Publication(encode(note), log=RUNS_STREAM) for note in (gone, odd))])
    scene.begin()
    scene.end()
    async with recording():
        await until(scene.is_finished)
        await until(lambda: not scene.store.read_log(RUNS_STREAM, "0-0", None))  # type: ignore[arg-type]


async def test_an_unreadable_batch_costs_itself_only(scene: Scene) -> None:
    scene.begin()
    last = scene.store.last_id(run_log(scene.key))
    assert last is not None
    seq = int(last.partition("-")[0]) + 1
    scene.node._numbers[scene.key] += 1
    scene.store.write([Publication(b"{broken", log=run_log(scene.key), entry_id=f"{seq}-0")])  # type: ignore[arg-type]
    scene.line(1)
    scene.end()
    async with recording():
        await until(scene.is_finished)
    assert await database_sync_to_async(scene.text)() == "1\n"


async def test_a_payload_is_stored_before_the_operation_that_names_it(scene: Scene) -> None:
    data = b"whole text " * 5_000
    blob = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    scene.store.put_value(blob_key(blob.sha256), data, 60)
    scene.begin()
    scene.line(1)
    scene.node.write(scene.key, StreamChunk(seq=0, at=1, cell_id=C1, run_id=scene.run_id, index=0, blob=blob))
    scene.end()
    async with recording():
        await until(scene.is_finished)
    assert load_blob(blob.sha256) == data
    assert scene.store.get_value(blob_key(blob.sha256)) is None, "no longer on the wire"
    row = await CellOutput.objects.aget(document=scene.document, cell_id="c1")
    assert row.outputs[0]["chunks"] == [{"sha256": blob.sha256, "size_bytes": len(data)}]


async def test_the_notebook_file_gets_the_outputs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels_app.recorder.export_schedule.QUIET_S", 0.05)
    scene.begin()
    scene.line(5)
    scene.end()

    def exported() -> bool:
        _, data = content_store(scene.cast.project).read(scene.document.path, max_bytes=1 << 20)
        cells = {cell["id"]: cell for cell in json.loads(data)["cells"]}
        outputs: object = cells["c1"]["outputs"]
        return outputs == [{"output_type": "stream", "name": "stdout", "text": ["5\n"]}]

    async with recording():
        await until(exported)
        await until(lambda: not Document.objects.exclude(dirty_since=None).exists())


async def test_a_dirty_notebook_of_an_earlier_recorder_is_exported(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.begin()
    scene.end()
    async with recording():
        await until(scene.is_finished)
    assert await Document.objects.exclude(dirty_since=None).aexists(), "killed before its two seconds"
    monkeypatch.setattr("kernels_app.recorder.export_schedule.QUIET_S", 0.05)
    async with recording():
        await until(lambda: not Document.objects.exclude(dirty_since=None).exists())


async def test_the_log_is_trimmed_with_a_mark_and_never_beyond_the_rows(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEPT_BATCHES", 10)
    monkeypatch.setattr(retention, "_STEP", 1)
    scene.begin()
    for number in range(60):
        scene.line(number)
    scene.end()
    async with recording():
        await until(scene.is_finished)
        await until(lambda: scene.store.get_value(run_log_trimmed(scene.key)) is not None)
        await until(lambda: len(scene.store.read_log(run_log(scene.key), "0-0", None)) == 10)  # type: ignore[arg-type]
    mark = scene.store.get_value(run_log_trimmed(scene.key))
    assert mark is not None
    kept = scene.store.read_log(run_log(scene.key), "0-0", None)  # type: ignore[arg-type]
    assert int(mark) < int(kept[0].id.partition("-")[0])
    # Another recorder finds what its predecessor left, and goes on.
    async with recording():
        scene.node.kernel(scene.start, "busy")
        await until(lambda: Kernel.objects.get().state == "busy")
        await until(lambda: len(scene.store.read_log(run_log(scene.key), "0-0", None)) == 10)  # type: ignore[arg-type]
