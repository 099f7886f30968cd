"""More wish for a kernel than there are places: who waits, what they are told, who comes next."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from django.db import connection

from kernels_app.bus.envelopes import Execute, StartKernel
from kernels_app.bus.identifiers import DocumentId, KernelId, run_log, run_topic
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import Finished, KernelChanged, Queued, decode_batch
from kernels_app.errors import KernelNotRunning, QuotaExceeded
from kernels_app.models import Kernel, Run
from kernels_app.recorder.rows import apply_operations
from kernels_app.services.endings import record_kernel_event
from kernels_app.services.kernels import interrupt_kernel, restart_kernel, start_kernel, stop_kernel
from kernels_app.services.notices import notices_of_document
from kernels_app.services.project_kernels import start_project_kernel
from kernels_app.services.queue import fill_places
from kernels_app.services.runs import CellToRun, run_cells
from kernels_app.services.upkeep import send_again
from notebooks_app.models import CellOutput, Document
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode, now_ms

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast(transactional_db: None, hub_wire: MemoryStore) -> Cast:
    return make_cast()


def document(cast: Cast, name: str) -> Document:
    return make_document(cast, "1", "2", path=f"{name}.ipynb")


def log_of(store: MemoryStore, document: Document) -> list[Any]:
    key = run_log(DocumentId(str(document.pk)))
    return [op for entry in store.read_log(key, "0-0", None) for op in decode_batch(entry.payload).ops]  # type: ignore[arg-type]


def notice(document: Document) -> dict[str, Any] | None:
    """What a page that connects is told of its turn or of its end."""
    frames = [msgspec.json.decode(frame) for frame in notices_of_document(document.pk)]
    return next((frame for frame in frames if frame["type"] == "kernel_notice"), None)


def turn(document: Document) -> tuple[int, int] | None:
    told = notice(document)
    return None if told is None else (told["queue_position"], told["queue_length"])


def end(node: ScriptedNode, kernel: Kernel) -> None:
    """Its node tells that it ended; the recorder hears of it."""
    from kernels_app.bus.envelopes import KernelEvent

    record_kernel_event(
        KernelEvent(
            node_id=node.node_id,
            fence=node.fence,
            at=now_ms(),
            kernel_id=KernelId(str(kernel.pk)),
            state="stopped",
        )
    )


@contextmanager
def heard(store: MemoryStore, document: Document) -> Iterator[list[dict[str, Any]]]:
    """The notices that a page at the document hears meanwhile."""
    frames: list[dict[str, Any]] = []

    def hear(payload: bytes | None) -> None:
        if payload is not None and payload.startswith(b'{"type":"kernel_notice"'):
            frames.append(msgspec.json.decode(payload))

    topic = run_topic(DocumentId(str(document.pk)))
    end_hearing = store.subscribe(topic, hear)
    yield frames
    end_hearing()


@pytest.fixture(autouse=True)
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels_app.services.queue.TELL_EVERY_S", 0.0)


# What waits, and what it is told


def test_a_kernel_that_finds_no_place_waits_and_its_page_says_how_far_it_is(
    cast: Cast, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire, slot_count=1)
    first, second, third = (document(cast, name) for name in ("first", "second", "third"))
    start_kernel(user=cast.alice, document=first)
    waiting = start_kernel(user=cast.bob, document=second)
    start_kernel(user=cast.alice, document=third)
    assert [type(command) for command in node.commands()] == [StartKernel]
    assert (waiting.state, waiting.node_id) == ("pending", None)
    assert (turn(first), turn(second), turn(third)) == (None, (1, 2), (2, 2))
    [told] = log_of(hub_wire, second)
    assert isinstance(told, KernelChanged)
    assert (told.state, told.reason) == ("pending", "Waiting for a free place: 1st in the queue.")


def test_it_starts_as_soon_as_something_frees_with_the_cells_that_waited_with_it(
    cast: Cast, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire, slot_count=1)
    first, second = document(cast, "first"), document(cast, "second")
    running = start_kernel(user=cast.alice, document=first)
    node.commands()
    cells = [CellToRun("c1", "1"), CellToRun("c2", "2")]
    accepted = run_cells(user=cast.bob, document=second, request_id="r", cells=cells)
    shown = [op for op in log_of(hub_wire, second) if isinstance(op, Queued)]
    assert [op.run_id for op in shown] == [str(run_id) for run_id in accepted.run_ids]
    apply_operations(second.pk, log_of(hub_wire, second), up_to=shown[-1].seq)
    assert [row.state for row in CellOutput.objects.filter(document=second)] == ["queued", "queued"]
    assert all(run.source and not run.is_taken for run in Run.objects.all()), "still to be sent"
    end(node, running)
    start, execute = node.commands()
    assert isinstance(start, StartKernel)
    assert isinstance(execute, Execute)
    assert [cell.source for cell in execute.cells] == ["1", "2"]
    assert turn(second) is None
    # The node is the log's writer now, also of what the hub had shown.
    node.kernel(start, "idle")
    node.finish_all(start.document_id or DocumentId(""), execute)
    operations = log_of(hub_wire, second)
    apply_operations(second.pk, operations, up_to=operations[-1].seq)
    assert [run.state for run in Run.objects.order_by("position")] == ["ok", "ok"]


def test_pages_are_told_when_the_queue_moves(cast: Cast, hub_wire: MemoryStore) -> None:
    node = ScriptedNode(hub_wire, slot_count=1)
    documents = [document(cast, name) for name in ("first", "second", "third")]
    running = start_kernel(user=cast.alice, document=documents[0])
    for one in documents[1:]:
        start_kernel(user=cast.bob, document=one)
    with heard(hub_wire, documents[2]) as frames:
        end(node, running)
    assert [(frame["queue_position"], frame["queue_length"]) for frame in frames] == [(1, 1)]


def test_where_much_moves_all_are_told_now_and_then_and_who_comes_at_once(
    cast: Cast, hub_wire: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ScriptedNode(hub_wire, slot_count=1)
    documents = [document(cast, name) for name in ("first", "second", "third", "fourth")]
    running = start_kernel(user=cast.alice, document=documents[0])
    for one in documents[1:3]:
        start_kernel(user=cast.bob, document=one)
    monkeypatch.setattr("kernels_app.services.queue.TELL_EVERY_S", 1000.0)
    with heard(hub_wire, documents[2]) as others, heard(hub_wire, documents[3]) as own:
        start_kernel(user=cast.carol, document=documents[3])
        end(node, running)
        assert others == []
        assert [frame["queue_length"] for frame in own] == [3]
        monkeypatch.setattr("kernels_app.services.queue.TELL_EVERY_S", 0.0)
        fill_places()  # as the worker does every five seconds
        assert [frame["queue_length"] for frame in others] == [2]


def test_nothing_is_known_of_the_queue_but_in_the_rows(cast: Cast, hub_wire: MemoryStore) -> None:
    """Whatever program dies: the next look of any worker goes on from there."""
    node = ScriptedNode(hub_wire, slot_count=1)
    running = start_kernel(user=cast.alice, document=document(cast, "first"))
    start_kernel(user=cast.bob, document=document(cast, "second"))
    node.commands()
    Kernel.objects.filter(pk=running.pk).update(state="died")  # by a program that was killed right after
    assert fill_places() == 1
    assert isinstance(node.commands()[0], StartKernel)
    assert fill_places() == 0


def test_a_wire_that_is_down_keeps_the_queue_as_it_is(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, slot_count=1)
    running = start_kernel(user=cast.alice, document=document(cast, "first"))
    start_kernel(user=cast.bob, document=document(cast, "second"))
    Kernel.objects.filter(pk=running.pk).update(state="died")
    hub_wire.set_down(True)
    assert fill_places() == 0
    hub_wire.set_down(False)
    assert fill_places() == 1


def test_who_has_one_running_comes_after_who_has_none(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, slot_count=1)
    start_kernel(user=cast.alice, document=document(cast, "hers"))
    hers = document(cast, "hers too")
    his = document(cast, "his")
    start_kernel(user=cast.alice, document=hers)
    start_kernel(user=cast.bob, document=his)
    assert (turn(his), turn(hers)) == ((1, 2), (2, 2))


def test_nobody_fills_the_queue_beyond_their_quota(cast: Cast, hub_wire: MemoryStore) -> None:
    from zasper_hub.accounts.models import QuotaSetting
    from zasper_hub.accounts.quotas import Level, Quota

    QuotaSetting.objects.create(level=Level.SITE, quota=Quota.MAX_KERNELS, value=2)
    ScriptedNode(hub_wire, slot_count=1)
    for number in range(2):
        start_kernel(user=cast.alice, document=document(cast, f"{number}"))
    with pytest.raises(QuotaExceeded):
        start_kernel(user=cast.alice, document=document(cast, "one more"))


# Leaving


@pytest.mark.parametrize("how", ["stop", "interrupt"])
def test_leaving_the_queue_ends_it_at_once_and_cancels_its_cells(
    cast: Cast, hub_wire: MemoryStore, how: str
) -> None:
    node = ScriptedNode(hub_wire, slot_count=1)
    start_kernel(user=cast.alice, document=document(cast, "first"))
    mine = document(cast, "mine")
    run_cells(user=cast.bob, document=mine, request_id="r", cells=[CellToRun("c1", "1")])
    node.commands()
    if how == "stop":
        assert stop_kernel(Kernel.objects.get(document=mine))
    else:
        interrupt_kernel(mine)
    gone = Kernel.objects.get(document=mine)
    assert (gone.state, gone.reason) == ("stopped", "You stopped it while it waited for a place.")
    [finished] = [op for op in log_of(hub_wire, mine) if isinstance(op, Finished)]
    assert finished.status == "cancelled"
    assert node.commands() == []
    with pytest.raises(KernelNotRunning):
        interrupt_kernel(mine)


def test_leaving_while_the_wire_is_down_is_possible(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, slot_count=1)
    start_kernel(user=cast.alice, document=document(cast, "first"))
    waiting = start_kernel(user=cast.bob, document=document(cast, "mine"))
    hub_wire.set_down(True)
    assert stop_kernel(waiting)
    hub_wire.set_down(False)
    waiting.refresh_from_db()
    assert waiting.state == "stopped"


def test_who_gets_a_place_at_the_moment_of_leaving_is_stopped_there(
    cast: Cast, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire, slot_count=1)
    running = start_kernel(user=cast.alice, document=document(cast, "first"))
    read_before = start_kernel(user=cast.bob, document=document(cast, "mine"))
    end(node, running)
    node.commands()
    assert stop_kernel(read_before)
    read_before.refresh_from_db()
    assert read_before.state == "stopping"
    assert [command.kernel_id for command in node.commands() if not isinstance(command, StartKernel)] == [
        str(read_before.pk)
    ]


def test_restarting_what_waits_changes_nothing(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, slot_count=1)
    start_kernel(user=cast.alice, document=document(cast, "first"))
    mine = document(cast, "mine")
    waiting = start_kernel(user=cast.bob, document=mine)
    assert restart_kernel(user=cast.bob, document=mine).pk == waiting.pk
    assert turn(mine) == (1, 1)


def test_what_waits_is_not_given_up_like_a_start_without_an_answer(cast: Cast, hub_wire: MemoryStore) -> None:
    from datetime import timedelta

    from django.utils import timezone

    ScriptedNode(hub_wire, slot_count=1)
    start_kernel(user=cast.alice, document=document(cast, "first"))
    waiting = start_kernel(user=cast.bob, document=document(cast, "mine"))
    hour_ago = timezone.now() - timedelta(hours=1)
    Kernel.objects.filter(pk=waiting.pk).update(created_at=hour_ago, last_activity_at=hour_ago)
    send_again()
    waiting.refresh_from_db()
    assert waiting.state == "pending"


# Places


def test_of_any_number_at_once_as_many_start_as_there_are_places(cast: Cast, hub_wire: MemoryStore) -> None:
    if connection.is_in_memory_db():  # type: ignore[attr-defined]
        pytest.skip("threads need a database in a file")
    node = ScriptedNode(hub_wire, slot_count=3)
    errors: list[Exception] = []
    gate = threading.Barrier(8)

    def start(name: str) -> None:
        try:
            gate.wait(timeout=20)
            start_project_kernel(user=getattr(cast, name), project=cast.project)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=start, args=(("alice", "bob")[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not errors
    assert Kernel.objects.exclude(node=None).count() == 3
    assert Kernel.objects.filter(node=None, state="pending").count() == 5
    assert len([command for command in node.commands() if isinstance(command, StartKernel)]) == 3
