"""What is only history goes after months; what a notebook shows stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from kernels_app.models import DailyUsage, Run
from kernels_app.services import upkeep
from notebooks_app.models import CellOutput, Document
from tests.cast import Cast
from tests.kernels_app.documents import make_document

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(cast: Cast) -> Document:
    return make_document(cast, "1")


def make_run(document: Document, request_id: str, days_ago: int | None) -> Run:
    finished_at = None if days_ago is None else timezone.now() - timedelta(days=days_ago)
    return Run.objects.create(
        document=document,
        request_id=request_id,
        cell_id="c1",
        position=0,
        source_sha256="",
        state="running" if finished_at is None else "ok",
        finished_at=finished_at,
    )


def test_runs_that_ended_months_ago_are_forgotten_and_no_others(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "RUNS_DELETED_AT_ONCE", 2)
    for number in range(5):
        make_run(document, f"old {number}", 91 + number)
    kept = {make_run(document, "recent", 89).pk, make_run(document, "still running", None).pk}
    # A run that never ended is not old, however long ago it began.
    Run.objects.filter(request_id="still running").update(queued_at=timezone.now() - timedelta(days=300))
    CellOutput.objects.create(document=document, cell_id="c1", state="ok", outputs=[], seq=1)
    assert upkeep.forget_old_runs(timezone.now()) == 5
    assert set(Run.objects.values_list("pk", flat=True)) == kept
    assert CellOutput.objects.filter(document=document).count() == 1
    assert upkeep.forget_old_runs(timezone.now()) == 0


def test_usage_is_kept_a_year_and_a_month(cast: Cast) -> None:
    today = timezone.now().date()
    for days in (0, 399, 402):
        DailyUsage.objects.create(user=cast.alice, day=today - timedelta(days=days))
    upkeep.forget_old_runs(timezone.now())
    assert sorted((today - row.day).days for row in DailyUsage.objects.all()) == [0, 399]
