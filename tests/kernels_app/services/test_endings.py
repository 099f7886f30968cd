from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from kernels_app.bus.envelopes import (
    Execute,
    KernelEvent,
    NodeKernels,
    NodeStarted,
    NodeStopped,
    StartKernel,
    StopKernel,
)
from kernels_app.bus.identifiers import (
    NODE_KERNELS_KEY,
    NODES_KEY,
    DocumentId,
    KernelId,
    NodeId,
    node_lease,
    run_log,
)
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import AnyOperation, Finished, KernelChanged, decode_batch
from kernels_app.bus.transport import TransportError
from kernels_app.models import Kernel, Node, Run
from kernels_app.recorder.rows import apply_operations
from kernels_app.relay.mailbox import MAILBOXES_KEY
from kernels_app.runs.lives import EndCause
from kernels_app.services import upkeep
from kernels_app.services.endings import (
    end_leftover_runs,
    record_kernel_event,
    record_node_started,
    record_node_stopped,
)
from kernels_app.services.last_words import end_kernel
from kernels_app.services.runs import CellToRun, run_cells
from kernels_app.tasks import watch_kernels
from notebooks_app.models import CellOutput, Document
from notebooks_app.services.projects import delete_project
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import PYTHON, ScriptedNode, now_ms, queued, started

pytestmark = pytest.mark.django_db(transaction=True)


class Scene:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.cast: Cast = make_cast()
        self.document: Document = make_document(self.cast, "1", "2")
        self.key = DocumentId(str(self.document.pk))
        self.node = ScriptedNode(store)
        self.accepted = run_cells(
            user=self.cast.alice,
            document=self.document,
            request_id="r",
            cells=[CellToRun("c1", "1"), CellToRun("c2", "2")],
        )
        start, execute = self.node.commands()
        assert isinstance(start, StartKernel)
        assert isinstance(execute, Execute)
        self.start, self.execute = start, execute

    def run_first(self) -> None:
        """The first cell runs, the second waits."""
        self.node.kernel(self.start, "idle")
        self.node.take(self.key, self.execute)
        cell = self.execute.cells[0]
        self.node.write(self.key, started(cell.cell_id, cell.run_id))
        self.record()

    def log(self) -> list[AnyOperation]:
        entries = self.store.read_log(run_log(self.key), "0-0", None)  # type: ignore[arg-type]
        return [operation for entry in entries for operation in decode_batch(entry.payload).ops]

    def record(self) -> None:
        operations = self.log()
        apply_operations(self.document.pk, operations, up_to=operations[-1].seq)

    @property
    def kernel(self) -> Kernel:
        return Kernel.objects.get()

    def run_states(self) -> list[str]:
        return [run.state for run in Run.objects.order_by("position")]

    def cell_states(self) -> list[str]:
        return [row.state for row in CellOutput.objects.order_by("cell_id")]

    def make_older(self) -> None:
        """As if all this was a minute and a half ago."""
        then = timezone.now() - timedelta(seconds=90)
        Kernel.objects.update(created_at=then, last_activity_at=then)
        Kernel.objects.exclude(ended_at=None).update(ended_at=then)
        Run.objects.update(queued_at=then)

    def started_event(self, node: ScriptedNode, *adopted: str) -> NodeStarted:
        return NodeStarted(
            node_id=node.node_id,
            fence=node.fence,
            at=now_ms(),
            info=b"{}",
            adopted=[KernelId(name) for name in adopted],
        )


@pytest.fixture
def scene(hub_wire: MemoryStore, transactional_db: None) -> Scene:
    return Scene(hub_wire)


def test_a_node_that_begins_anew_has_lost_its_kernels(scene: Scene) -> None:
    scene.run_first()
    scene.node.leave()
    again = ScriptedNode(scene.store)
    assert again.fence > scene.node.fence
    record_node_started(scene.started_event(again), {"provisioner": "scripted"})
    scene.record()
    assert (scene.kernel.state, scene.kernel.reason) == (
        "lost",
        "The node that ran the kernel was restarted.",
    )
    assert scene.run_states() == ["died", "not_run"]
    assert scene.cell_states() == ["died", "not_run"]
    assert Node.objects.get().fence == again.fence
    last = scene.log()[-1]
    assert isinstance(last, KernelChanged)
    assert (last.state, last.reason) == ("lost", "The node that ran the kernel was restarted.")


def test_told_twice_it_is_done_once(scene: Scene) -> None:
    scene.run_first()
    scene.node.leave()
    event = scene.started_event(ScriptedNode(scene.store))
    record_node_started(event, {})
    count = len(scene.log())
    record_node_started(event, {})
    assert len(scene.log()) == count


def test_a_kernel_of_the_new_life_is_not_lost_with_the_old_ones(scene: Scene) -> None:
    record_node_started(
        scene.started_event(scene.node), {}
    )  # told late: its first kernel was started meanwhile
    assert scene.kernel.state == "pending"


def test_an_adopted_kernel_goes_on_with_the_new_number(scene: Scene) -> None:
    scene.run_first()
    scene.node.leave()
    again = ScriptedNode(scene.store)
    record_node_started(scene.started_event(again, scene.start.kernel_id), {})
    assert scene.kernel.state == "idle"
    assert scene.kernel.fence == again.fence


def test_a_lost_kernel_that_turns_up_again_is_stopped(scene: Scene) -> None:
    Kernel.objects.update(state="lost", ended_at=timezone.now())
    scene.node.leave()
    again = ScriptedNode(scene.store)
    record_node_started(scene.started_event(again, scene.start.kernel_id), {})
    [stop] = [command for command in again.commands() if isinstance(command, StopKernel)]
    assert stop.kernel_id == scene.start.kernel_id
    assert stop.fence == again.fence
    assert scene.kernel.state == "lost"


def test_an_event_of_an_earlier_life_is_not_believed(scene: Scene) -> None:
    Node.objects.update(fence=scene.node.fence + 10)
    record_node_started(scene.started_event(scene.node), {})
    assert Node.objects.get().fence == scene.node.fence + 10
    Kernel.objects.update(fence=scene.node.fence + 10)
    died = KernelEvent(
        node_id=scene.node.node_id,
        fence=scene.node.fence,
        at=1,
        kernel_id=scene.start.kernel_id,
        state="died",
    )
    record_kernel_event(died)
    assert scene.kernel.state == "pending"


@pytest.mark.parametrize("kernel_id", ["", "no uuid", "00000000-0000-0000-0000-000000000009"])
def test_events_of_unknown_kernels_are_passed_over(scene: Scene, kernel_id: str) -> None:
    record_kernel_event(
        KernelEvent(
            node_id=scene.node.node_id,
            fence=scene.node.fence,
            at=1,
            kernel_id=KernelId(kernel_id),
            state="died",
        )
    )
    assert scene.kernel.state == "pending"


def test_a_node_cannot_speak_for_the_kernels_of_another(scene: Scene) -> None:
    record_kernel_event(
        KernelEvent(
            node_id=NodeId("node-b"), fence=1 << 40, at=1, kernel_id=scene.start.kernel_id, state="died"
        )
    )
    assert scene.kernel.state == "pending"


def test_a_node_that_shuts_down_in_good_order_has_stopped_its_kernels(scene: Scene) -> None:
    scene.run_first()
    record_node_stopped(NodeStopped(node_id=scene.node.node_id, fence=scene.node.fence, at=1))
    scene.record()
    assert scene.kernel.state == "stopped"
    assert scene.run_states() == ["died", "not_run"]


def test_nothing_is_ended_while_the_log_cannot_be_written(scene: Scene) -> None:
    scene.run_first()
    scene.store.set_down(True)
    with pytest.raises(TransportError):
        end_kernel(scene.kernel, state="lost", reason="x")
    assert scene.kernel.state == "idle", "it will be done again"


def test_runs_that_nobody_ended_are_ended_after_the_log_is_in_the_rows(scene: Scene) -> None:
    scene.run_first()
    Kernel.objects.update(state="died", ended_at=timezone.now())
    assert end_leftover_runs() == 0, "its node's last words may be under way"
    scene.make_older()
    cell = scene.execute.cells[1]
    scene.node.write(scene.key, queued(cell.cell_id, cell.run_id))
    assert end_leftover_runs() == 0, "the log is ahead of the rows"
    scene.record()
    assert end_leftover_runs() == 2
    scene.record()
    assert scene.run_states() == ["died", "not_run"]
    assert end_leftover_runs() == 0


def test_a_node_is_lost_only_when_its_lease_stays_away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.run_first()
    record_node_started(scene.started_event(scene.node), {})
    assert upkeep.reap_lost_nodes() == []
    scene.node.leave()
    assert upkeep.reap_lost_nodes() == [], "it may be about to renew it"
    assert scene.kernel.state == "idle"
    now = now_ms()
    monkeypatch.setattr(upkeep, "now_ms", lambda: now + 16_000)
    assert upkeep.reap_lost_nodes() == [scene.node.node_id]
    scene.record()
    assert scene.kernel.state == "lost"
    assert scene.run_states() == ["died", "not_run"]
    assert Node.objects.get().state == "lost"
    assert scene.node.node_id not in scene.store.get_fields(NODES_KEY)
    renewed = scene.store.renew_lease(
        node_lease(scene.node.node_id), "holder-of-node-a", scene.node.fence, 15
    )
    assert not renewed, "it cannot act any more"


def test_a_node_that_comes_back_in_time_keeps_its_kernels(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.run_first()
    scene.node.leave()
    upkeep.reap_lost_nodes()
    assert scene.store.renew_lease(node_lease(scene.node.node_id), "holder-of-node-a", scene.node.fence, 60)
    now = now_ms()
    monkeypatch.setattr(upkeep, "now_ms", lambda: now + 16_000)
    assert upkeep.reap_lost_nodes() == []
    scene.node.leave()
    assert upkeep.reap_lost_nodes() == [], "the count begins anew"
    assert scene.kernel.state == "idle"


def test_commands_without_an_answer_are_sent_again(scene: Scene) -> None:
    upkeep.send_again()
    assert scene.node.commands() == [], "not at once"
    scene.make_older()
    upkeep.send_again()
    again = scene.node.command(StartKernel)
    assert again == scene.start
    assert len(scene.log()) == 1, "`pending` is there once"
    scene.node.kernel(scene.start, "idle")
    scene.record()
    upkeep.send_again()
    assert scene.node.command(Execute) == scene.execute
    scene.node.take(scene.key, scene.execute)
    scene.record()
    upkeep.send_again()
    assert scene.node.commands() == [], "it has them"


def test_a_start_that_never_gets_an_answer_fails_with_a_reason(scene: Scene) -> None:
    Kernel.objects.update(last_activity_at=timezone.now() - timedelta(minutes=3))
    upkeep.send_again()
    scene.record()
    assert scene.kernel.state == "failed"
    assert "does not answer" in scene.kernel.reason
    assert scene.run_states() == ["not_run", "not_run"]


def test_a_kernel_of_an_earlier_life_or_another_node_is_no_sign_of_a_start(scene: Scene) -> None:
    Kernel.objects.update(last_activity_at=timezone.now() - timedelta(minutes=3))
    other = ScriptedNode(scene.store, "node-b")
    other.list_kernels(scene.start.kernel_id)
    earlier = NodeKernels(fence=scene.node.fence - 1, kernel_ids=[scene.start.kernel_id])
    scene.store.put_field(NODE_KERNELS_KEY, scene.node.node_id, msgspec.json.encode(earlier))
    upkeep.send_again()
    assert Kernel.objects.get().state == "failed"


def test_without_a_recorder_a_kernel_that_its_node_lists_goes_on(scene: Scene) -> None:
    Kernel.objects.update(last_activity_at=timezone.now() - timedelta(minutes=3))
    scene.node.list_kernels(scene.start.kernel_id)
    upkeep.send_again()
    assert scene.kernel.state == "pending"


def test_without_a_recorder_a_kernel_that_wrote_goes_on(scene: Scene) -> None:
    Kernel.objects.update(last_activity_at=timezone.now() - timedelta(minutes=3))
    scene.node.kernel(scene.start, "starting")
    upkeep.send_again()
    assert scene.kernel.state == "pending"
    scene.record()
    assert scene.kernel.state == "starting"


def test_without_a_recorder_an_idle_kernel_that_refused_to_stop_goes_on(scene: Scene) -> None:
    then = timezone.now() - timedelta(seconds=90)
    Kernel.objects.update(state="stopping", end_cause=EndCause.IDLE, last_activity_at=then)
    scene.node.list_kernels(scene.start.kernel_id)
    upkeep.send_again()
    assert scene.kernel.state == "stopping"
    stop = scene.node.commands()[-1]
    assert isinstance(stop, StopKernel)
    assert stop.quiet_s is not None, "it may refuse again"
    scene.node.list_kernels()
    upkeep.send_again()
    assert scene.kernel.state == "culled"


def test_a_stop_that_never_gets_an_answer_ends(scene: Scene) -> None:
    Kernel.objects.update(state="stopping", last_activity_at=timezone.now() - timedelta(seconds=30))
    upkeep.send_again()
    assert isinstance(scene.node.commands()[-1], StopKernel)
    Kernel.objects.update(last_activity_at=timezone.now() - timedelta(seconds=90))
    upkeep.send_again()
    assert scene.kernel.state == "stopped"


def test_the_task_bears_a_wire_that_is_down(scene: Scene) -> None:
    scene.store.set_down(True)
    watch_kernels()
    assert scene.kernel.state == "pending"


def test_a_new_kernel_ends_what_an_earlier_one_left(scene: Scene) -> None:
    scene.run_first()
    Kernel.objects.update(state="died", ended_at=timezone.now())
    run_cells(user=scene.cast.bob, document=scene.document, request_id="r2", cells=[CellToRun("c1", "1")])
    ended = [operation for operation in scene.log() if isinstance(operation, Finished)]
    assert [(operation.run_id, operation.status) for operation in ended] == [
        (str(scene.accepted.run_ids[0]), "interrupted"),
        (str(scene.accepted.run_ids[1]), "cancelled"),
    ]


def test_a_deleted_projects_kernels_are_stopped(scene: Scene) -> None:
    scene.run_first()
    delete_project(scene.cast.project, actor=scene.cast.alice)
    assert scene.kernel.state == "stopping"
    assert scene.node.command(StopKernel).reason == "Its project was deleted."


def test_mailboxes_of_processes_that_are_gone_are_deleted(scene: Scene) -> None:
    store: Any = scene.store
    store.put_field(MAILBOXES_KEY, "old", str(now_ms() - 700_000).encode())
    store.put_field(MAILBOXES_KEY, "odd", b"x")
    store.put_field(MAILBOXES_KEY, "new", str(now_ms()).encode())
    assert sorted(upkeep.forget_silent_mailboxes()) == ["odd", "old"]
    assert list(store.get_fields(MAILBOXES_KEY)) == ["new"]


def test_the_node_with_more_memory_gets_the_next_kernel(scene: Scene) -> None:
    other = ScriptedNode(scene.store, "node-b", kernelspecs=[PYTHON], memory_bytes=64 << 30)
    document = make_document(scene.cast, "1", path="other.ipynb")
    run_cells(user=scene.cast.alice, document=document, request_id="r", cells=[CellToRun("c1", "1")])
    assert isinstance(other.commands()[0], StartKernel)
