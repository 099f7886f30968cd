from __future__ import annotations

import threading
from uuid import UUID

import pytest
from django.db import connection

from kernels_app.bus.envelopes import InterruptKernel, RestartKernel, StartKernel, StopKernel
from kernels_app.bus.identifiers import DocumentId, run_log, split_seq
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import Finished, KernelChanged, decode_batch
from kernels_app.errors import (
    KernelNotRunning,
    KernelStopping,
    NoNode,
    QuotaExceeded,
    Unavailable,
    UnknownKernelspec,
)
from kernels_app.models import LIVE_STATES, Kernel, Run
from kernels_app.services.kernels import (
    interrupt_kernel,
    restart_kernel,
    start_kernel,
    stop_kernel,
    switch_kernelspec,
)
from kernels_app.services.runs import CellToRun, run_cells
from notebooks_app.models import Document
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import User
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return make_cast()


@pytest.fixture
def document(cast: Cast, hub_wire: MemoryStore) -> Document:
    return make_document(cast, "print(1)", "print(2)")


def log_of(store: MemoryStore, document: Document) -> list[object]:
    key = run_log(DocumentId(str(document.pk)))
    return [op for entry in store.read_log(key, "0-0", None) for op in decode_batch(entry.payload).ops]  # type: ignore[arg-type]


# What cannot be done


def test_without_a_node_no_kernel_starts_and_no_row_is_left(cast: Cast, document: Document) -> None:
    with pytest.raises(NoNode):
        start_kernel(user=cast.alice, document=document)
    assert not Kernel.objects.exists()


def test_a_node_whose_lease_ran_out_is_no_node(cast: Cast, document: Document, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire).leave()
    with pytest.raises(NoNode):
        start_kernel(user=cast.alice, document=document)


def test_an_unknown_kernelspec_is_refused(cast: Cast, document: Document, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire)
    with pytest.raises(UnknownKernelspec):
        start_kernel(user=cast.alice, document=document, kernelspec_name="cobol")
    assert not Kernel.objects.exists()


def test_while_the_wire_is_down_the_person_is_told(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    ScriptedNode(hub_wire)
    hub_wire.set_down(True)
    with pytest.raises(Unavailable):
        start_kernel(user=cast.alice, document=document)


def test_interrupting_without_a_kernel_is_refused(document: Document) -> None:
    with pytest.raises(KernelNotRunning):
        interrupt_kernel(document)


def test_a_person_has_so_many_kernels_and_no_more(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    set_quota(Level.PERSON, Quota.MAX_KERNELS, 1, actor=cast.admin, person=cast.alice)
    ScriptedNode(hub_wire)
    other = make_document(cast, "1", path="other.ipynb")
    start_kernel(user=cast.alice, document=document)
    with pytest.raises(QuotaExceeded) as caught:
        start_kernel(user=cast.alice, document=other)
    details = caught.value.details
    assert (details["quota"], details["limit"], details["used"], details["origin"]) == (
        "max_kernels",
        1,
        1,
        "person",
    )
    assert [kernel["path"] for kernel in details["kernels"]] == [document.path]
    assert caught.value.message == "You are running 1 of 1 kernel: stop one that you do not need."
    start_kernel(user=cast.bob, document=other)  # who has none may
    start_kernel(user=cast.alice, document=document)  # the one there is may be used


def test_a_kernel_that_is_being_stopped_takes_no_more(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    kernel = start_kernel(user=cast.alice, document=document)
    node.bring_up()
    assert stop_kernel(kernel)
    assert not stop_kernel(kernel), "once is enough"
    with pytest.raises(KernelStopping):
        start_kernel(user=cast.alice, document=document)
    assert isinstance(node.commands()[-1], StopKernel)


# What is done


def test_a_start_is_a_pending_row_and_a_command_with_its_generation(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    kernel = start_kernel(user=cast.alice, document=document)
    start = node.command(StartKernel)
    document.refresh_from_db()
    assert kernel.state == "pending"
    assert start.kernel_id == str(kernel.pk)
    assert start.fence == node.fence
    assert (start.project_path, start.cwd) == (str(cast.project.pk), "work")
    assert start.kernelspec_name == "python3"
    assert start.log_generation == document.log_generation == kernel.log_generation
    [pending] = log_of(hub_wire, document)
    assert isinstance(pending, KernelChanged)
    assert pending.state == "pending"
    assert split_seq(pending.seq) == (start.log_generation - 1, 1), (
        "the node's own generation begins untouched"
    )


def test_the_document_has_one_kernel_however_many_ask(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    ids: list[UUID] = []
    errors: list[Exception] = []
    gate = threading.Barrier(4)

    def start(name: str) -> None:
        try:
            gate.wait(timeout=10)
            ids.append(start_kernel(user=getattr(cast, name), document=document).pk)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=start, args=(name,)) for name in ("alice", "bob", "alice", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not errors
    assert len(ids) == 4
    assert len(set(ids)) == 1
    assert [type(command) for command in node.commands()] == [StartKernel]


def test_the_loser_of_a_race_gets_the_winners_kernel(
    cast: Cast, document: Document, hub_wire: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one starts it between our look and our row: the constraint settles it."""
    from kernels_app.services import kernels

    node = ScriptedNode(hub_wire)
    choose = kernels._choose

    def choose_slowly(user: User, document: Document, name: str | None) -> object:
        chosen = choose(user, document, name)
        monkeypatch.setattr(kernels, "_choose", choose)
        start_kernel(user=cast.bob, document=document)
        return chosen

    monkeypatch.setattr(kernels, "_choose", choose_slowly)
    kernel = start_kernel(user=cast.alice, document=document)
    assert kernel.user == cast.bob
    assert Kernel.objects.count() == 1
    start = node.command(StartKernel)
    document.refresh_from_db()
    assert start.log_generation == document.log_generation, "the loser raised nothing"


def test_interrupt_and_restart_reach_the_kernels_node(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    start_kernel(user=cast.alice, document=document)
    node.bring_up()
    interrupt_kernel(document)
    restart_kernel(user=cast.bob, document=document)
    assert [type(command) for command in node.commands()] == [InterruptKernel, RestartKernel]


def test_restart_after_its_end_starts_a_kernel_of_the_same_kernelspec(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    start_kernel(user=cast.alice, document=document, kernelspec_name="deno")
    Kernel.objects.update(state="died")
    node.commands()
    restart_kernel(user=cast.alice, document=document)
    assert node.command(StartKernel).kernelspec_name == "deno"


def test_switching_ends_the_old_kernel_and_its_runs_before_the_new_one_speaks(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    cells = [CellToRun("c1", "print(1)"), CellToRun("c2", "print(2)")]
    accepted = run_cells(user=cast.alice, document=document, request_id="r", cells=cells)
    old_start, _execute = node.commands()
    assert isinstance(old_start, StartKernel)
    new = switch_kernelspec(user=cast.bob, document=document, kernelspec_name="deno")
    stop, start = node.commands()
    assert isinstance(stop, StopKernel)
    assert stop.kernel_id == old_start.kernel_id
    assert isinstance(start, StartKernel)
    assert (start.kernel_id, start.kernelspec_name) == (str(new.pk), "deno")
    assert accepted.kernel_id is not None
    old = Kernel.objects.get(pk=accepted.kernel_id)
    assert (old.state, old.reason) == ("stopped", "Replaced by a kernel of deno.")
    last = log_of(hub_wire, document)[-3:]
    assert [(op.run_id, op.status) for op in last if isinstance(op, Finished)] == [
        (str(run_id), "cancelled") for run_id in accepted.run_ids
    ]
    assert isinstance(last[-1], KernelChanged)
    # What the old one still writes comes too late.
    node._generations[DocumentId(str(document.pk))] = old_start.log_generation
    assert not node.write(
        DocumentId(str(document.pk)),
        KernelChanged(seq=0, at=0, kernel_id=old_start.kernel_id, kernelspec_name="python3", state="idle"),
    )


def test_switching_to_what_runs_already_changes_nothing(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    kernel = start_kernel(user=cast.alice, document=document)
    node.bring_up()
    assert switch_kernelspec(user=cast.bob, document=document, kernelspec_name="python3").pk == kernel.pk
    assert node.commands() == []


def test_a_refused_switch_leaves_the_kernel_alone(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    ScriptedNode(hub_wire)
    kernel = start_kernel(user=cast.alice, document=document)
    with pytest.raises(UnknownKernelspec):
        switch_kernelspec(user=cast.alice, document=document, kernelspec_name="cobol")
    assert [row.pk for row in Kernel.objects.filter(state__in=LIVE_STATES)] == [kernel.pk]
    assert not Run.objects.exists()
