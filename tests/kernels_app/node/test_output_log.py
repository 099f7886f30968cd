from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from kernels_app.bus.envelopes import decode_note
from kernels_app.bus.identifiers import (
    RUNS_STREAM,
    CellId,
    DocumentId,
    RunId,
    StreamId,
    blob_key,
    make_seq,
    run_log,
    run_topic,
)
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import Display, Started, Stream, decode_batch
from kernels_app.bus.resp import ReplyError
from kernels_app.bus.transport import Publication
from kernels_app.node import output_log
from kernels_app.node.output_log import OutputLog

DOCUMENT = DocumentId("d1")
CELL, RUN = CellId("c1"), RunId("r1")
DEADLINE_S = 10
REFUSALS = [ReplyError("ERR something new"), ReplyError("EXECABORT of a server that is replaced")]


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_log, "FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(output_log, "LAST_RETRY_S", 0.005)


@asynccontextmanager
async def writing(
    store: MemoryStore,
    generation: int = 1,
    on_pressure: Callable[[bool], None] = lambda is_high: None,
    on_superseded: Callable[[], None] = lambda: None,
) -> AsyncIterator[OutputLog]:
    log = OutputLog(
        MemoryTransport(store),
        DOCUMENT,
        generation,
        clock_ms=clock_ms,
        on_pressure=on_pressure,
        on_superseded=on_superseded,
    )
    task = asyncio.create_task(log.run())
    yield log
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def feed_stream(log: OutputLog, text: str) -> None:
    log.folding.message(RUN, "stream", {"name": "stdout", "text": text}, {}, clock_ms())
    log.changed(len(text))


async def flushed(log: OutputLog) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await log.flush()


def text_in(store: MemoryStore) -> str:
    entries = store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)
    operations = [operation for entry in entries for operation in decode_batch(entry.payload).ops]
    numbers = [operation.seq for operation in operations]
    assert numbers == sorted(set(numbers))
    return "".join(operation.text for operation in operations if isinstance(operation, Stream))


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_batch_is_in_the_log_on_the_topic_and_noted_for_the_recorder(store: MemoryStore) -> None:
    heard: list[bytes | None] = []
    await MemoryTransport(store).subscribe(run_topic(DOCUMENT), heard.append)
    async with writing(store, generation=7) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        feed_stream(log, "hello")
        await flushed(log)
    entries = store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)
    operations = [operation for entry in entries for operation in decode_batch(entry.payload).ops]
    assert [type(operation) for operation in operations] == [Started, Stream]
    assert [operation.seq for operation in operations] == [make_seq(7, 1), make_seq(7, 2)]
    assert entries[-1].id == f"{make_seq(7, 2)}-0"
    assert heard == [entry.payload for entry in entries]
    notes = [decode_note(entry.payload) for entry in store.read_log(RUNS_STREAM, StreamId("0-0"), None)]
    assert (notes[-1].document_id, notes[-1].seq) == (DOCUMENT, make_seq(7, 2))


async def test_a_burst_becomes_one_batch(store: MemoryStore) -> None:
    async with writing(store) as log:
        await asyncio.sleep(0)
        log.folding.start_run(CELL, RUN, clock_ms())
        log.changed()
        log.folding.message(RUN, "execute_input", {"execution_count": 1}, {}, clock_ms())
        log.changed()
        log.folding.finish_run(RUN, "ok", clock_ms())
        log.changed()
        await eventually(lambda: store.last_id(run_log(DOCUMENT)) is not None)
        await flushed(log)
    assert len(store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)) == 1


async def test_outputs_are_written_without_being_asked_for(store: MemoryStore) -> None:
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        log.changed()
        for number in range(5):
            feed_stream(log, f"{number};")
            expected = "".join(f"{count};" for count in range(number + 1))
            await eventually(lambda expected=expected: text_in(store) == expected)  # type: ignore[misc]


async def test_a_large_payload_is_there_before_the_operation_that_names_it(store: MemoryStore) -> None:
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        log.folding.message(
            RUN, "display_data", {"data": {"text/plain": "x" * 100_000}, "metadata": {}}, {}, clock_ms()
        )
        log.changed()
        await flushed(log)
    entries = store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)
    [display] = [
        operation
        for entry in entries
        for operation in decode_batch(entry.payload).ops
        if isinstance(operation, Display)
    ]
    blob = display.blobs["text/plain"]
    assert store.get_value(blob_key(blob.sha256)) == b"x" * 100_000


async def test_many_large_outputs_are_cut_into_several_entries(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_log, "BATCH_BYTES", 10_000)
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        for _ in range(20):
            log.folding.message(RUN, "display_data", {"data": {"text/plain": "y" * 3000}}, {}, clock_ms())
        log.changed()
        await flushed(log)
    entries = store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)
    assert len(entries) > 3
    assert all(len(entry.payload) <= 10_000 for entry in entries)
    assert sum(len(decode_batch(entry.payload).ops) for entry in entries) == 21


@pytest.mark.usefixtures("quick_retries")
async def test_what_is_fed_while_the_wire_is_away_is_written_once_when_it_is_back(store: MemoryStore) -> None:
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        feed_stream(log, "a")
        await flushed(log)
        store.set_down(True)
        for letter in "bcd":
            feed_stream(log, letter)
            await asyncio.sleep(0.06)
        store.set_down(False)
        await flushed(log)
    assert text_in(store) == "abcd"


@pytest.mark.usefixtures("quick_retries")
async def test_a_large_payload_waits_for_the_wire_as_all_else_does(store: MemoryStore) -> None:
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        await flushed(log)
        store.set_down(True)
        data = {"image/png": base64.b64encode(b"x" * 400_000).decode()}
        log.folding.message(RUN, "display_data", {"data": data, "metadata": {}}, {}, clock_ms())
        log.changed(600_000)
        await asyncio.sleep(0.1)
        store.set_down(False)
        await flushed(log)
    assert len(store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)) == 2


@pytest.mark.usefixtures("quick_retries")
async def test_a_write_that_the_server_refuses_is_tried_again(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter(REFUSALS)
    real = MemoryTransport.write

    async def write(self: MemoryTransport, publications: Sequence[Publication]) -> list[StreamId | None]:
        if (refusal := next(refusals, None)) is not None:
            raise refusal
        return await real(self, publications)

    monkeypatch.setattr(MemoryTransport, "write", write)
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        feed_stream(log, "hello")
        await flushed(log)
    assert text_in(store) == "hello"


async def test_what_an_interruption_took_from_the_log_is_written_again(store: MemoryStore) -> None:
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        for letter in "abc":
            feed_stream(log, letter)
            await flushed(log)
        entries = store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)
        # The server came back with an older file: only the first entry is there.
        store.delete_log(run_log(DOCUMENT))
        store.write([Publication(entries[0].payload, log=run_log(DOCUMENT), entry_id=entries[0].id)])
        log.check()
        await eventually(lambda: store.read_log(run_log(DOCUMENT), StreamId("0-0"), None) == entries)
        feed_stream(log, "d")
        await flushed(log)
    assert text_in(store) == "abcd"


async def test_a_check_of_a_whole_log_writes_nothing(store: MemoryStore) -> None:
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        feed_stream(log, "a")
        await flushed(log)
        notes = len(store.read_log(RUNS_STREAM, StreamId("0-0"), None))
        log.check()
        await flushed(log)
        assert len(store.read_log(RUNS_STREAM, StreamId("0-0"), None)) == notes


async def test_what_is_kept_to_write_again_is_bounded(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_log, "KEPT_BYTES", 2000)
    async with writing(store) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        for _ in range(10):
            feed_stream(log, "z" * 900)
            await flushed(log)
        count = len(store.read_log(run_log(DOCUMENT), StreamId("0-0"), None))
        store.delete_log(run_log(DOCUMENT))
        log.check()
        await eventually(lambda: store.last_id(run_log(DOCUMENT)) is not None)
        assert 1 <= len(store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)) < count


@pytest.mark.usefixtures("quick_retries")
async def test_the_kernel_is_paused_while_too_much_waits_for_the_wire(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_log, "PAUSE_BYTES", 50_000)
    monkeypatch.setattr(output_log, "RESUME_BYTES", 10_000)
    pressure: list[bool] = []
    async with writing(store, on_pressure=pressure.append) as log:
        log.folding.start_run(CELL, RUN, clock_ms())
        log.changed()
        store.set_down(True)
        for _ in range(6):
            feed_stream(log, "0123456789" * 1000)
            await asyncio.sleep(0.005)
        assert pressure == [True]
        store.set_down(False)
        await flushed(log)
        assert pressure == [True, False]
    assert len(text_in(store)) == 60_000


async def test_a_writer_of_an_older_generation_gives_up_and_says_so(store: MemoryStore) -> None:
    told: list[str] = []
    async with writing(store, generation=2) as younger:
        younger.folding.start_run(CELL, RunId("r2"), clock_ms())
        younger.changed()
        await flushed(younger)
    before = store.read_log(run_log(DOCUMENT), StreamId("0-0"), None)
    async with writing(store, generation=1, on_superseded=lambda: told.append("superseded")) as older:
        older.folding.start_run(CELL, RUN, clock_ms())
        feed_stream(older, "late")
        await flushed(older)
        feed_stream(older, "later")
        await flushed(older)
    assert told == ["superseded"]
    assert store.read_log(run_log(DOCUMENT), StreamId("0-0"), None) == before
