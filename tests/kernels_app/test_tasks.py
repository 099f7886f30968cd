"""The look at all kernels every few seconds: at everything while there are any, at little when there are none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from kernels_app import tasks
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import LIVE_STATES, Kernel
from kernels_app.services.kernels import start_kernel
from tests.cast import Cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import QuotaSetting
from zasper_hub.accounts.quotas import Level, Quota

pytestmark = pytest.mark.django_db

ALL = ["reap_lost_nodes", "send_again", "stop_kernels_of_nobody", "tell_draining_nodes", "reap_orphans",
       "end_leftover_runs", "fill_places", "end_lives"]  # fmt: skip
OF_NODES_AND_RUNS = ["reap_lost_nodes", "tell_draining_nodes", "reap_orphans", "end_leftover_runs"]


@pytest.fixture
def steps_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []

    def noted(step: Callable[[], object]) -> Callable[[], object]:
        def note() -> None:
            made.append(step.__name__)

        return note

    monkeypatch.setattr(tasks, "_STEPS", [(noted(step), of_kernels) for step, of_kernels in tasks._STEPS])
    return made


@pytest.fixture
def kernel(cast: Cast, hub_wire: MemoryStore) -> Kernel:
    ScriptedNode(hub_wire)
    return start_kernel(user=cast.alice, document=make_document(cast, "1"))


@pytest.mark.parametrize("state", [str(state.value) for state in LIVE_STATES])
def test_everything_is_looked_at_while_there_is_a_kernel(
    kernel: Kernel, steps_made: list[str], state: str
) -> None:
    Kernel.objects.update(state=state)
    tasks.watch_kernels()
    assert steps_made == ALL


def test_nodes_and_runs_are_looked_at_also_when_all_kernels_have_ended(
    kernel: Kernel, steps_made: list[str]
) -> None:
    Kernel.objects.update(state="stopped", ended_at=timezone.now())
    tasks.watch_kernels()
    assert steps_made == OF_NODES_AND_RUNS


def test_a_kernel_that_nobody_uses_is_ended_by_the_look(kernel: Kernel) -> None:
    long_ago = timezone.now() - timedelta(hours=3)
    Kernel.objects.update(state="idle", ready_at=long_ago, last_activity_at=long_ago, created_at=long_ago)
    QuotaSetting.objects.create(level=Level.SITE, quota=Quota.IDLE_TIMEOUT_S, value=3600)
    tasks.watch_kernels()
    kernel.refresh_from_db()
    assert kernel.end_cause == "idle"
