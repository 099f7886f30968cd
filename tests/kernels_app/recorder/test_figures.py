"""What kernels use: into their rows, and to the pages that are open at their notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from kernels_app.bus.envelopes import KernelFigures, KernelsMeasured
from kernels_app.bus.identifiers import DocumentId, KernelId, run_topic
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel
from kernels_app.recorder.figures import record_figures
from kernels_app.services.kernels import start_kernel
from kernels_app.services.notices import notices_of_document
from kernels_app.services.project_kernels import start_project_kernel
from notebooks_app.models import Document
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode, now_ms
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1 << 20


class Scene:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.cast: Cast = make_cast()
        set_quota(Level.SITE, Quota.KERNEL_MEMORY_BYTES, 2048 * MIB, actor=self.cast.admin)
        self.node = ScriptedNode(store)
        self.document: Document = make_document(self.cast, "1")
        self.kernel = start_kernel(user=self.cast.alice, document=self.document)
        self.node.bring_up()

    def measure(self, memory_bytes: int, cpu_cores: float = 0.5, *, of: str = "", fence: int = 0) -> None:
        record_figures(
            KernelsMeasured(
                node_id=self.node.node_id,
                fence=fence or self.node.fence,
                at=now_ms(),
                kernels={KernelId(of or str(self.kernel.pk)): KernelFigures(memory_bytes, cpu_cores)},
            )
        )

    def uses(self) -> list[dict[str, Any]]:
        """What a page that connects now is told of use."""
        frames = [msgspec.json.decode(frame) for frame in notices_of_document(self.document.pk)]
        return [frame for frame in frames if frame["type"] == "kernel_use"]

    @contextmanager
    def heard(self) -> Iterator[list[dict[str, Any]]]:
        """What an open page hears of use meanwhile."""
        frames: list[dict[str, Any]] = []

        def hear(payload: bytes | None) -> None:
            if payload is not None and payload.startswith(b'{"type":"kernel_use"'):
                frames.append(msgspec.json.decode(payload))

        end_hearing = self.store.subscribe(run_topic(DocumentId(str(self.document.pk))), hear)
        yield frames
        end_hearing()


@pytest.fixture
def scene(hub_wire: MemoryStore, transactional_db: None) -> Scene:
    return Scene(hub_wire)


def test_open_pages_and_later_ones_are_told_what_the_kernel_uses_of_its_limit(scene: Scene) -> None:
    assert scene.uses() == [], "nothing was measured"
    with scene.heard() as frames:
        scene.measure(312 * MIB, 0.5)
    assert frames == scene.uses()
    assert frames == [
        {
            "type": "kernel_use",
            "kernel_id": str(scene.kernel.pk),
            "memory_bytes": 312 * MIB,
            "memory_limit_bytes": 2048 * MIB,
            "cpu_cores": 0.5,
            "cpu_limit_cores": None,
        }
    ]
    scene.kernel.refresh_from_db()
    assert (scene.kernel.memory_bytes, scene.kernel.cpu_cores) == (312 * MIB, 0.5)


def test_a_limit_that_changes_is_told_at_once(scene: Scene) -> None:
    scene.measure(312 * MIB)
    with scene.heard() as frames:
        set_quota(
            Level.PERSON,
            Quota.KERNEL_MEMORY_BYTES,
            512 * MIB,
            actor=scene.cast.admin,
            person=scene.cast.alice,
        )
    assert [frame["memory_limit_bytes"] for frame in frames] == [512 * MIB]


@pytest.mark.parametrize("odd", ["ended", "earlier life", "no id"])
def test_figures_of_what_does_not_live_there_are_left_out(scene: Scene, odd: str) -> None:
    with scene.heard() as frames:
        match odd:
            case "ended":
                Kernel.objects.update(state="stopped")
                scene.measure(5 * MIB)
            case "earlier life":
                scene.measure(5 * MIB, fence=scene.node.fence + 1)
            case "no id":
                scene.measure(5 * MIB, of="../../etc")
    assert frames == []
    scene.kernel.refresh_from_db()
    assert scene.kernel.memory_bytes is None


def test_nonsense_of_a_node_does_not_become_less_than_nothing(scene: Scene) -> None:
    scene.measure(-5, -1.0)
    scene.kernel.refresh_from_db()
    assert (scene.kernel.memory_bytes, scene.kernel.cpu_cores) == (0, 0.0)


def test_a_kernel_without_a_notebook_is_only_written_down(scene: Scene) -> None:
    other = start_project_kernel(user=scene.cast.alice, project=scene.cast.project)
    with scene.heard() as frames:
        scene.measure(7 * MIB, of=str(other.pk))
    other.refresh_from_db()
    assert (other.memory_bytes, frames) == (7 * MIB, [])
