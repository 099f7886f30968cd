"""A notebook that was run from top to bottom is a version; one that was run in parts is not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Run
from kernels_app.services.run_versions import LOOK_BACK, keep_versions_of_whole_runs
from notebooks_app.models import Document
from tests.cast import Cast
from tests.kernels_app.documents import make_document

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(cast: Cast, hub_wire: MemoryStore) -> Document:
    return make_document(cast, "a = 1", "a + 1", "   ")


def ran(
    document: Document, cast: Cast, *cell_ids: str, request_id: str = "r", ended: datetime | None = None
) -> None:
    for position, cell_id in enumerate(cell_ids):
        Run.objects.create(
            document=document, request_id=request_id, cell_id=cell_id, position=position, source_sha256="",
            user=cast.bob, state="ok", finished_at=ended or timezone.now(),
        )  # fmt: skip


def test_a_whole_run_is_one_version_of_who_ran_it(cast: Cast, document: Document) -> None:
    ran(document, cast, "c1", "c2")
    assert keep_versions_of_whole_runs(timezone.now()) == 1
    [version] = document.versions.all()
    assert (version.reason, version.created_by) == ("run_all", cast.bob)
    assert keep_versions_of_whole_runs(timezone.now()) == 0


def test_parts_unfinished_runs_and_old_ones_are_none(cast: Cast, document: Document) -> None:
    ran(document, cast, "c1", request_id="one cell")
    ran(document, cast, "c1", "c3", request_id="not all")
    ran(document, cast, "c1", "c2", request_id="old", ended=timezone.now() - LOOK_BACK - timedelta(seconds=1))
    ran(document, cast, "c1", "c2", request_id="going on")
    Run.objects.filter(request_id="going on", cell_id="c2").update(state="running", finished_at=None)
    assert keep_versions_of_whole_runs(timezone.now()) == 0
    assert not document.versions.exists()
