from __future__ import annotations

import hashlib

import pytest
from pytest_django import DjangoAssertNumQueries

from kernels_app.bus.envelopes import AnswerInput, ClearOutputs, Execute, StartKernel
from kernels_app.bus.identifiers import CellId, DocumentId, run_log
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import Clear, decode_batch
from kernels_app.errors import Invalid, KernelNotRunning, NoNode, TooLarge, TooMany, UnknownCell
from kernels_app.models import Kernel, Run
from kernels_app.selectors.kernels import live_kernel
from kernels_app.services import runs as runs_service
from kernels_app.services.commands import send_waiting_runs
from kernels_app.services.runs import CellToRun, answer_input, clear_outputs, run_cells, run_saved_cells
from notebooks_app.models import Document
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)

TWO = [CellToRun("c1", "a = 1"), CellToRun("c2", "a + 1")]


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return make_cast()


@pytest.fixture
def document(cast: Cast, hub_wire: MemoryStore) -> Document:
    return make_document(cast, "a = 1", "a + 1", "   \n")


@pytest.mark.parametrize(
    ("request_id", "cells", "error"),
    [
        ("", TWO, Invalid),
        ("x" * 65, TWO, Invalid),
        ("line\nbreak", TWO, Invalid),
        ("r", [], Invalid),
        ("r", [CellToRun("", "1")], Invalid),
        ("r", [CellToRun("c" * 65, "1")], Invalid),
        ("r", [CellToRun("c1", "1"), CellToRun("c1", "2")], Invalid),
        ("r", [CellToRun("c1", "x" * 1_000_001)], TooLarge),
        ("r", [CellToRun(f"c{n}", "") for n in range(2_001)], TooLarge),
        ("r", [CellToRun(f"c{n}", "x" * 900_000) for n in range(9)], TooLarge),
    ],
)
def test_a_bad_request_leaves_nothing(
    cast: Cast,
    document: Document,
    hub_wire: MemoryStore,
    request_id: str,
    cells: list[CellToRun],
    error: type[Exception],
) -> None:
    node = ScriptedNode(hub_wire)
    with pytest.raises(error):
        run_cells(user=cast.alice, document=document, request_id=request_id, cells=cells)
    assert not Kernel.objects.exists()
    assert not Run.objects.exists()
    assert node.commands() == []


def test_without_a_node_nothing_is_queued(cast: Cast, document: Document) -> None:
    with pytest.raises(NoNode):
        run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    assert not Run.objects.exists()


def test_so_many_may_wait_and_no_more(
    cast: Cast, document: Document, hub_wire: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_service, "MAX_UNFINISHED_RUNS", 3)
    ScriptedNode(hub_wire)
    run_cells(user=cast.alice, document=document, request_id="first", cells=TWO)
    with pytest.raises(TooMany):
        run_cells(user=cast.alice, document=document, request_id="second", cells=TWO)


def test_unknown_and_text_cells_are_refused_by_name(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    ScriptedNode(hub_wire)
    with pytest.raises(UnknownCell) as caught:
        run_saved_cells(user=cast.alice, document=document, cell_ids=["c1", "text", "nope"])
    assert caught.value.details["cells"] == ["nope", "text"]
    assert not Run.objects.exists()


def test_input_without_a_kernel_is_refused(document: Document) -> None:
    with pytest.raises(KernelNotRunning):
        answer_input(document, input_id="i", value="x")
    with pytest.raises(TooLarge):
        answer_input(document, input_id="i", value="x" * 70_000)


def test_runs_are_rows_and_one_command_in_order(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    accepted = run_cells(user=cast.bob, document=document, request_id="r", cells=TWO, stop_on_error=False)
    start, execute = node.commands()
    assert isinstance(start, StartKernel)
    assert isinstance(execute, Execute)
    assert [(cell.cell_id, cell.source) for cell in execute.cells] == [("c1", "a = 1"), ("c2", "a + 1")]
    assert [cell.run_id for cell in execute.cells] == [str(run_id) for run_id in accepted.run_ids]
    assert execute.kernel_id == start.kernel_id == str(accepted.kernel_id)
    assert execute.stop_on_error is False
    rows = list(Run.objects.order_by("position"))
    assert [(row.state, row.user, row.source) for row in rows] == [
        ("queued", cast.bob, "a = 1"),
        ("queued", cast.bob, "a + 1"),
    ]
    assert rows[0].source_sha256 == hashlib.sha256(b"a = 1").hexdigest()


def test_a_run_is_written_down_without_its_source(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    ScriptedNode(hub_wire)
    run_cells(user=cast.bob, document=document, request_id="r", cells=[CellToRun("c1", "secret = 'x'")])
    event = AuditEvent.objects.get(action="run")
    assert event.actor == cast.bob
    assert "secret" not in str(event.details)
    assert event.details["cells"]["c1"] == hashlib.sha256(b"secret = 'x'").hexdigest()


def test_a_repeat_gives_the_same_runs_and_sends_what_was_not_taken(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    first = run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    [_, execute] = node.commands()
    Run.objects.filter(cell_id="c1").update(is_taken=True, source="")
    again = run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    assert again == first
    assert Run.objects.count() == 2
    repeated = node.command(Execute)
    assert isinstance(execute, Execute)
    assert repeated.cells == execute.cells[1:]


def test_a_repeat_with_a_cell_more_runs_that_one(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    [first] = run_cells(user=cast.alice, document=document, request_id="r", cells=TWO[:1]).run_ids
    node.commands()
    Run.objects.update(is_taken=True, source="")
    again = run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    assert again.run_ids[0] == first
    assert set(Run.objects.values_list("pk", "is_taken")) == {(first, True), (again.run_ids[1], False)}
    assert [cell.run_id for cell in node.command(Execute).cells] == [str(again.run_ids[1])]


def test_a_cell_more_for_a_kernel_that_is_there_is_seven_queries(
    cast: Cast,
    document: Document,
    hub_wire: MemoryStore,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """Each is half a millisecond of a processor: with the reading of who may, all that a run costs the web process."""
    node = ScriptedNode(hub_wire)
    run_cells(user=cast.alice, document=document, request_id="first", cells=TWO[:1])
    node.commands()
    with django_assert_max_num_queries(7 + 2):  # begin and commit, or a savepoint's
        run_cells(user=cast.alice, document=document, request_id="r", cells=TWO[1:])
    assert [cell.source for cell in node.command(Execute).cells] == ["a + 1"]


def test_a_repeat_after_the_kernel_ended_starts_no_other(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    first = run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    node.commands()
    Kernel.objects.update(state="died")
    Run.objects.update(state="died")
    assert run_cells(user=cast.alice, document=document, request_id="r", cells=TWO) == first
    assert node.commands() == []


def test_the_same_request_id_in_another_document_is_another_request(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    ScriptedNode(hub_wire)
    other = make_document(cast, "1", path="other.ipynb")
    first = run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    second = run_cells(user=cast.alice, document=other, request_id="r", cells=TWO)
    assert not set(first.run_ids) & set(second.run_ids)


def test_runs_outlive_a_wire_that_breaks_after_they_are_rows(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    run_cells(user=cast.alice, document=document, request_id="before", cells=TWO[:1])
    node.commands()
    hub_wire.set_down(True)
    accepted = run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    hub_wire.set_down(False)
    assert node.commands() == []
    send_waiting_runs(Kernel.objects.get())
    sent = {
        cell.run_id for command in node.commands() if isinstance(command, Execute) for cell in command.cells
    }
    assert {str(run_id) for run_id in accepted.run_ids} <= sent


def test_all_runs_the_code_cells_that_have_code_in_order(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    run_saved_cells(user=cast.alice, document=document, cell_ids=None)
    _, execute = node.commands()
    assert isinstance(execute, Execute)
    assert [(cell.cell_id, cell.source) for cell in execute.cells] == [("c1", "a = 1"), ("c2", "a + 1")]


def test_chosen_cells_run_in_the_notebooks_order(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    run_saved_cells(user=cast.alice, document=document, cell_ids=["c2", "c1"])
    _, execute = node.commands()
    assert isinstance(execute, Execute)
    assert [cell.cell_id for cell in execute.cells] == ["c1", "c2"]


def test_a_line_for_input_reaches_the_node(cast: Cast, document: Document, hub_wire: MemoryStore) -> None:
    node = ScriptedNode(hub_wire)
    run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    node.commands()
    answer_input(document, input_id="i1", value="Ada")
    answer = node.command(AnswerInput)
    assert (answer.input_id, answer.value) == ("i1", "Ada")


def test_outputs_are_cleared_by_the_node_that_has_the_kernel(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)
    node.commands()
    clear_outputs(document, ["c1", "c1", "c2"])
    assert node.command(ClearOutputs).cell_ids == ["c1", "c2"]


def test_outputs_are_cleared_by_the_hub_when_no_kernel_lives(
    document: Document, hub_wire: MemoryStore
) -> None:
    clear_outputs(document, ["c1"])
    clear_outputs(document, ["c2"])
    entries = hub_wire.read_log(run_log(DocumentId(str(document.pk))), "0-0", None)  # type: ignore[arg-type]
    operations = [operation for entry in entries for operation in decode_batch(entry.payload).ops]
    assert [type(operation) for operation in operations] == [Clear, Clear]
    assert [getattr(operation, "cell_id", None) for operation in operations] == [CellId("c1"), CellId("c2")]


def test_a_kernel_that_starts_while_the_hub_clears_is_not_silenced(
    cast: Cast, document: Document, hub_wire: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub must not take a later generation than the kernel's and write in it."""
    node = ScriptedNode(hub_wire)
    look = live_kernel

    def look_too_early(document_id: object) -> None:
        monkeypatch.setattr(runs_service, "live_kernel", look)
        run_cells(user=cast.alice, document=document, request_id="r", cells=TWO)

    monkeypatch.setattr(runs_service, "live_kernel", look_too_early)
    clear_outputs(document, ["c1"])
    start, execute, clear = node.commands()
    assert isinstance(clear, ClearOutputs)
    assert isinstance(execute, Execute)
    assert isinstance(start, StartKernel)
    assert start.document_id is not None
    node.kernel(start, "idle")
    node.take(start.document_id, execute)
    last = hub_wire.last_id(run_log(start.document_id))
    assert last is not None
    assert int(last.partition("-")[0]) >> 32 == start.log_generation
