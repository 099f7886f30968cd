"""Operations become rows once, whatever is told twice."""

from __future__ import annotations

import hashlib
from uuid import UUID

import msgspec
import pytest

from kernels_app.bus.identifiers import CellId, KernelId, RunId, make_seq
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import (
    AnyOperation,
    BlobRef,
    Display,
    DisplayTarget,
    InputRequest,
    KernelChanged,
    KernelStateName,
    UpdateDisplay,
)
from kernels_app.models import Kernel, Run
from kernels_app.recorder import rows
from kernels_app.recorder.rows import apply_operations, keep_blob
from kernels_app.runs.apply import apply as apply_one
from kernels_app.selectors.cells import runs_snapshot
from kernels_app.services.runs import CellToRun, run_cells
from notebooks_app.models import BlobReference, CellOutput, Document
from notebooks_app.storage.blobs import load_blob
from tests.cast import Cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode, finished, queued, started, stream

pytestmark = pytest.mark.django_db

C1, C2 = CellId("c1"), CellId("c2")


@pytest.fixture
def document(cast: Cast, hub_wire: MemoryStore) -> Document:
    document = make_document(cast, "1", "2")
    Document.objects.filter(pk=document.pk).update(dirty_since=None, changed_at=None)
    return document


def numbered(*operations: AnyOperation, start: int = 1, generation: int = 1) -> list[AnyOperation]:
    return [
        msgspec.structs.replace(operation, seq=make_seq(generation, number))
        for number, operation in enumerate(operations, start=start)
    ]


def apply_all(document: Document, operations: list[AnyOperation]) -> bool:
    applied = apply_operations(document.pk, operations, up_to=operations[-1].seq)
    assert applied is not None
    assert applied.log_seq >= operations[-1].seq
    return applied.is_dirty


def running(run_id: str = "r1") -> list[AnyOperation]:
    run = RunId(run_id)
    return numbered(queued(C1, run), started(C1, run), stream(C1, run, 0, "a"), stream(C1, run, 0, "b"))


def text_of(document: Document) -> str:
    text = CellOutput.objects.get(document=document, cell_id="c1").outputs[0]["text"]
    assert isinstance(text, str)
    return text


def test_a_document_that_is_gone_takes_nothing() -> None:
    assert apply_operations(UUID(int=5), running(), up_to=9) is None


def test_operations_told_twice_count_once(document: Document) -> None:
    operations = running()
    apply_all(document, operations)
    apply_all(document, operations)
    apply_all(document, operations[2:])
    assert text_of(document) == "ab"


def test_a_batch_that_overlaps_brings_only_what_is_new(document: Document) -> None:
    operations = running()
    apply_all(document, operations[:3])
    apply_all(document, operations[2:])
    assert text_of(document) == "ab"


def test_a_failure_in_the_middle_leaves_nothing_behind(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(rows, "_apply_to_runs", fail)
        with pytest.raises(RuntimeError):
            apply_all(document, running())
    assert not CellOutput.objects.filter(document=document).exists()
    apply_all(document, running())
    assert text_of(document) == "ab"


def test_one_operation_that_does_not_fit_does_not_stop_the_others(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = apply_one

    def apply(cells: dict[CellId, dict[str, object]], operation: AnyOperation) -> None:
        if operation.seq == make_seq(1, 3):
            raise KeyError("odd")
        real(cells, operation)

    monkeypatch.setattr(rows, "apply", apply)
    apply_all(document, running())
    assert text_of(document) == "b"
    document.refresh_from_db()
    assert document.log_seq == make_seq(1, 4)


def test_outputs_make_the_notebook_dirty_from_the_first_change_on(document: Document) -> None:
    run = RunId("r1")
    assert not apply_all(document, numbered(queued(C1, run)))
    document.refresh_from_db()
    assert document.dirty_since is None
    assert apply_all(document, numbered(started(C1, run), start=2))
    document.refresh_from_db()
    since = document.dirty_since
    assert since is not None
    apply_all(document, numbered(stream(C1, run, 0, "x"), start=3))
    document.refresh_from_db()
    assert document.dirty_since == since
    assert document.changed_at is not None
    assert document.changed_at > since


def test_runs_follow_the_log_and_end_once(cast: Cast, document: Document, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire)
    accepted = run_cells(
        user=cast.alice, document=document, request_id="r", cells=[CellToRun("c1", "1"), CellToRun("c2", "2")]
    )
    first, second = (RunId(str(run_id)) for run_id in accepted.run_ids)
    apply_all(document, numbered(queued(C1, first), queued(C2, second)))
    assert [(run.is_taken, run.source) for run in Run.objects.order_by("position")] == [
        (True, ""),
        (True, ""),
    ]
    apply_all(document, numbered(started(C1, first), finished(C1, first, "ok", count=7), start=3))
    run = Run.objects.get(pk=accepted.run_ids[0])
    assert (run.state, run.execution_count) == ("ok", 7)
    assert run.started_at is not None
    assert run.finished_at is not None
    apply_all(document, numbered(finished(C1, first, "died"), start=5))
    run.refresh_from_db()
    assert run.state == "ok", "what ended has ended"
    assert Run.objects.get(pk=accepted.run_ids[1]).state == "queued"


def test_operations_of_runs_without_rows_are_no_trouble(document: Document) -> None:
    apply_all(document, [*running("no uuid"), *numbered(finished(C1, RunId("no uuid"), "ok"), start=5)])
    assert CellOutput.objects.get(document=document, cell_id="c1").state == "ok"


def test_a_times_that_no_calendar_has_is_no_trouble(document: Document) -> None:
    operations = running()
    operations[1] = msgspec.structs.replace(operations[1], at=10**18)
    apply_all(document, operations)
    assert CellOutput.objects.get(document=document, cell_id="c1").started_at is None


def test_an_update_of_a_display_reaches_another_cells_output(document: Document) -> None:
    run = RunId("r1")
    shown = Display(
        seq=0, at=1, cell_id=C1, run_id=run, index=0, output_type="display_data",
        data={"text/plain": "old"}, metadata={}, display_id="d",
    )  # fmt: skip
    update = UpdateDisplay(
        seq=0, at=2, display_id="d", targets=[DisplayTarget(C1, 0)], data={"text/plain": "new"}, metadata={}
    )
    apply_all(document, numbered(started(C1, run), shown))
    apply_all(document, numbered(started(C2, run), update, start=3))
    assert CellOutput.objects.get(document=document, cell_id="c1").outputs[0]["data"] == {"text/plain": "new"}


def test_a_snapshot_tells_what_the_kernel_waits_for(document: Document) -> None:
    run = RunId("r1")
    request = InputRequest(seq=0, at=1, cell_id=C1, run_id=run, input_id="i", prompt="Name: ", password=True)
    apply_all(document, numbered(started(C1, run), request))
    snapshot = runs_snapshot(document.pk)
    assert snapshot is not None
    assert snapshot.cells[C1]["input"] == {"input_id": "i", "prompt": "Name: ", "password": True}
    assert snapshot.seq == make_seq(1, 2)


def kernel_is(kernel: Kernel, state: KernelStateName, reason: str = "") -> KernelChanged:
    return KernelChanged(
        seq=0, at=1_700_000_000_000, kernel_id=KernelId(str(kernel.pk)), kernelspec_name="python3",
        state=state, reason=reason,
    )  # fmt: skip


@pytest.fixture
def kernel(cast: Cast, document: Document) -> Kernel:
    return Kernel.objects.create(
        project=cast.project, document=document, user=cast.alice, kernelspec_name="python3"
    )


def test_a_kernels_row_follows_the_log(document: Document, kernel: Kernel) -> None:
    apply_all(
        document,
        numbered(kernel_is(kernel, "starting"), kernel_is(kernel, "idle"), kernel_is(kernel, "busy")),
    )
    kernel.refresh_from_db()
    assert kernel.state == "busy"
    assert kernel.ready_at is not None
    apply_all(document, numbered(kernel_is(kernel, "killed", "It used too much memory."), start=4))
    kernel.refresh_from_db()
    assert (kernel.state, kernel.reason) == ("killed", "It used too much memory.")
    assert kernel.ended_at is not None


def test_an_ended_kernel_does_not_come_back(document: Document, kernel: Kernel) -> None:
    Kernel.objects.filter(pk=kernel.pk).update(state="lost")
    apply_all(document, numbered(kernel_is(kernel, "idle")))
    kernel.refresh_from_db()
    assert kernel.state == "lost"


def test_a_stop_is_not_taken_back_by_what_was_written_before_it(document: Document, kernel: Kernel) -> None:
    Kernel.objects.filter(pk=kernel.pk).update(state="stopping")
    apply_all(document, numbered(kernel_is(kernel, "busy"), kernel_is(kernel, "idle")))
    kernel.refresh_from_db()
    assert kernel.state == "stopping"
    apply_all(document, numbered(kernel_is(kernel, "stopped"), start=3))
    kernel.refresh_from_db()
    assert kernel.state == "stopped"


def test_a_log_cannot_speak_for_the_kernel_of_another_document(
    cast: Cast, document: Document, kernel: Kernel
) -> None:
    other = make_document(cast, "1", path="other.ipynb")
    apply_all(other, numbered(kernel_is(kernel, "died")))
    kernel.refresh_from_db()
    assert kernel.state == "pending"


def test_a_payload_is_kept_and_belongs_to_the_document(document: Document) -> None:
    data = b"large" * 10_000
    blob = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    assert not keep_blob(document.pk, blob, None), "nobody has it"
    assert keep_blob(document.pk, blob, data)
    assert load_blob(blob.sha256) == data
    assert keep_blob(document.pk, blob, None), "it is in the store already"
    assert BlobReference.objects.get(document=document).blob_id == blob.sha256


def test_a_payload_that_is_not_what_it_says_is_not_kept(document: Document) -> None:
    blob = BlobRef(sha256=hashlib.sha256(b"this").hexdigest(), size_bytes=4)
    assert not keep_blob(document.pk, blob, b"that")
    assert not BlobReference.objects.exists()
