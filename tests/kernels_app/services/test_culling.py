"""Idle kernels end after a warning; a kernel that somebody uses at the last moment does not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from kernels_app.bus.envelopes import StopKernel, StopRefused
from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.errors import Conflict, KernelNotRunning, KernelStopping
from kernels_app.models import Kernel, Run
from kernels_app.runs.lives import EndCause
from kernels_app.services.culling import end_life, keep_kernel, watch_lives
from kernels_app.services.endings import record_edit, record_kernel_event, record_stop_refused
from kernels_app.services.kernels import start_kernel
from kernels_app.services.nodes import set_draining
from kernels_app.services.notices import notices_of_document
from kernels_app.services.runs import CellToRun, run_cells
from kernels_app.services.upkeep import send_again
from notebooks_app.models import Document
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode, now_ms
from tests.kernels_app.services.test_queue import heard, notice
from zasper_hub.accounts.models import QuotaSetting
from zasper_hub.accounts.quotas import Level, Quota

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = 3600


class Scene:
    """Alice's kernel, idle since `now`; the site ends idle kernels after an hour."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.cast: Cast = make_cast()
        self.node = ScriptedNode(store)
        self.document: Document = make_document(self.cast, "1")
        self.kernel = start_kernel(user=self.cast.alice, document=self.document)
        self.node.bring_up()
        self.now = timezone.now()
        Kernel.objects.update(state="idle", ready_at=self.now, last_activity_at=self.now, created_at=self.now)
        self.limit(Quota.IDLE_TIMEOUT_S, HOUR)

    def limit(self, quota: Quota, value: int) -> None:
        QuotaSetting.objects.create(level=Level.SITE, quota=quota, value=value)

    def after(self, minutes: float) -> datetime:
        return self.now + timedelta(minutes=minutes)

    def look(self, minutes: float) -> Kernel:
        watch_lives(self.after(minutes))
        return self.row()

    def row(self) -> Kernel:
        return Kernel.objects.get(pk=self.kernel.pk)


@pytest.fixture
def scene(hub_wire: MemoryStore, transactional_db: None) -> Scene:
    return Scene(hub_wire)


def test_an_idle_kernel_is_announced_then_culled_with_a_reason(scene: Scene) -> None:
    assert scene.look(54).ends_at is None
    with heard(scene.store, scene.document) as frames:
        assert scene.look(55).ends_at == scene.after(60)
        scene.look(56)
    assert [(frame["ends_at"], frame["end_cause"]) for frame in frames] == [
        (round(scene.after(60).timestamp() * 1000), "idle")
    ] * 2, "told again at each look: such a word can be lost"
    assert notice(scene.document) == frames[0], "a page that comes later is told too"
    assert scene.look(60).state == "stopping"
    stop = scene.node.command(StopKernel)
    assert (stop.state, stop.reason) == ("culled", "Stopped because nobody had used it for 1 hour.")
    assert stop.quiet_s is not None
    assert notices_of_document(scene.document.pk) == []


@pytest.mark.parametrize("use", ["run", "completion", "edit", "keep"])
def test_use_puts_the_end_off(scene: Scene, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.look(55)
    moment = scene.after(58)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    match use:
        case "run":
            run_cells(
                user=scene.cast.alice, document=scene.document, request_id="r", cells=[CellToRun("c1", "1")]
            )
            Run.objects.update(state="ok", finished_at=moment)
        case "completion":
            from kernels_app.bus.envelopes import KernelEvent

            record_kernel_event(
                KernelEvent(
                    node_id=scene.node.node_id,
                    fence=scene.node.fence,
                    at=round(moment.timestamp() * 1000),
                    kernel_id=KernelId(str(scene.kernel.pk)),
                    state="idle",
                )
            )
        case "edit":
            record_edit(scene.document.pk)
        case "keep":
            with heard(scene.store, scene.document) as frames:
                keep_kernel(scene.row())
            assert [frame["ends_at"] for frame in frames] == [None]
    row = scene.look(60)
    assert (row.state, row.ends_at) == ("idle", None)
    assert scene.look(112.9).ends_at is None
    assert scene.look(113).ends_at == scene.after(118)


def test_an_open_page_alone_is_no_use(scene: Scene) -> None:
    """It connects, and asks what there is, for as long as it is open."""
    scene.look(55)
    notices_of_document(scene.document.pk)
    assert scene.look(60).state == "stopping"


@pytest.mark.parametrize("state", ["busy", "starting", "restarting"])
def test_what_is_at_work_is_not_culled(scene: Scene, state: str) -> None:
    Kernel.objects.update(state=state)
    assert scene.look(600).state == state


def test_a_cell_that_waits_is_use_though_its_node_has_not_told_of_it(scene: Scene) -> None:
    run_cells(user=scene.cast.alice, document=scene.document, request_id="r", cells=[CellToRun("c1", "1")])
    assert scene.look(600).ends_at is None


def test_a_run_between_the_look_and_the_stop_wins(scene: Scene) -> None:
    scene.look(55)
    seen = scene.row()
    run_cells(user=scene.cast.alice, document=scene.document, request_id="r", cells=[CellToRun("c1", "1")])
    scene.node.commands()
    Kernel.objects.update(last_activity_at=seen.last_activity_at)  # the run alone is enough
    assert not end_life(seen, EndCause.IDLE, "why")
    assert scene.row().state == "idle"
    assert scene.node.commands() == []


def test_a_node_that_sees_use_refuses_and_the_kernel_goes_on(scene: Scene) -> None:
    """A client of the raw channels runs something: only the node sees that."""
    scene.look(55)
    scene.look(60)
    with heard(scene.store, scene.document) as frames:
        record_stop_refused(
            StopRefused(
                node_id=scene.node.node_id,
                fence=scene.node.fence,
                at=now_ms(),
                kernel_id=KernelId(str(scene.kernel.pk)),
                state="busy",
            )
        )
    row = scene.row()
    assert (row.state, row.reason, row.end_cause, row.ends_at) == ("busy", "", "", None)
    assert len(frames) == 1
    run_cells(user=scene.cast.alice, document=scene.document, request_id="r", cells=[CellToRun("c1", "1")])


def test_a_person_s_stop_is_not_taken_back_by_a_refusal(scene: Scene) -> None:
    Kernel.objects.update(state="stopping")
    record_stop_refused(
        StopRefused(
            node_id=scene.node.node_id,
            fence=scene.node.fence,
            at=now_ms(),
            kernel_id=KernelId(str(scene.kernel.pk)),
            state="busy",
        )
    )
    assert scene.row().state == "stopping"


def test_a_stop_that_got_lost_is_sent_again_as_it_was(scene: Scene) -> None:
    scene.look(55)
    scene.look(60)
    first = scene.node.command(StopKernel)
    Kernel.objects.update(last_activity_at=timezone.now() - timedelta(seconds=30))
    send_again()
    assert scene.node.command(StopKernel) == first
    Kernel.objects.update(last_activity_at=timezone.now() - timedelta(seconds=90))
    send_again()
    row = scene.row()
    assert (row.state, row.reason) == ("culled", "Stopped because nobody had used it for 1 hour.")


def test_the_longest_life_ends_a_busy_kernel_after_a_warning_that_cannot_be_put_off(scene: Scene) -> None:
    scene.limit(Quota.MAX_LIFE_S, 2 * HOUR)
    Kernel.objects.update(state="busy")
    assert scene.look(115).end_cause == "life"
    with pytest.raises(Conflict, match="longest life"):
        keep_kernel(scene.row())
    assert scene.look(120).state == "stopping"
    stop = scene.node.command(StopKernel)
    assert (stop.state, stop.quiet_s) == ("culled", None)
    assert "2 hours, the longest that is allowed" in stop.reason


def test_a_drained_node_s_deadline_ends_its_kernels(scene: Scene) -> None:
    set_draining(scene.node.node_id, True, until=scene.after(10))
    scene.node.commands()
    Kernel.objects.update(state="busy")
    assert scene.look(6).ends_at == scene.after(11)
    set_draining(scene.node.node_id, False)
    assert scene.look(7).ends_at is None
    set_draining(scene.node.node_id, True, until=scene.after(10))
    scene.look(6)
    scene.look(11)
    stops = [command for command in scene.node.commands() if isinstance(command, StopKernel)]
    assert [(stop.state, stop.reason) for stop in stops] == [
        ("stopped", "Stopped because its host is being taken out of service.")
    ]


def test_keeping_what_has_ended_says_so(scene: Scene) -> None:
    Kernel.objects.update(state="stopping")
    with pytest.raises(KernelStopping):
        keep_kernel(scene.row())
    Kernel.objects.update(state="died")
    with pytest.raises(KernelNotRunning):
        keep_kernel(scene.row())
