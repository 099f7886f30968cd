"""Storage of projects and people: measured, kept up to date, and refused to grow past its quota.

Kernels write into a project's folder without asking the hub. So the figures are measured: by the worker every few
minutes where people work, and again at the moment in which somebody would be refused. In between, what the hub itself
writes is added. A write reads one row of settings and one or two of figures.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import F, Q, Sum
from django.utils import timezone

from notebooks_app.errors import HubError, QuotaExceeded
from notebooks_app.models import Blob, Checkpoint, Project, ProjectStorage, TrashedFile
from notebooks_app.selectors.storage import holder_of, person_storage_bytes
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.quotas import EffectiveQuotas, Quota
from zasper_hub.accounts.selectors.quotas import effective_quotas

log = structlog.get_logger(__name__)

# Somebody who is refused looks again after they deleted something; a walk over 100,000 files takes about 0.3 s.
FRESH_FOR = timedelta(seconds=3)
MEASURED_EVERY = timedelta(days=1)
IN_USE_FOR = timedelta(hours=1)
MEASURING_BUDGET_S = 20.0


def measure(project: Project) -> ProjectStorage:
    """The project's figures as they are now; in the database too."""
    trash = TrashedFile.objects.filter(project=project).aggregate(total=Sum("size_bytes"))
    blobs = Blob.objects.filter(references__document__project=project).distinct()
    outputs = blobs.aggregate(total=Sum("size_bytes"))
    checkpoints = Checkpoint.objects.filter(project=project).aggregate(total=Sum("size_bytes"))
    row, _is_new = ProjectStorage.objects.update_or_create(
        project=project,
        defaults={
            "files_bytes": content_store(project).size_bytes(""),
            "trash_bytes": trash["total"] or 0,
            "outputs_bytes": (outputs["total"] or 0) + (checkpoints["total"] or 0),
            "measured_at": timezone.now(),
        },
    )
    return row


def measured(project: Project, *, since: datetime | None = None) -> ProjectStorage:
    """The project's figures, measured if they never were, or not since then."""
    row = ProjectStorage.objects.filter(project=project).first()
    if row is None or row.measured_at is None or (since is not None and row.measured_at < since):
        return measure(project)
    return row


def note_growth(project: Project, *, files_bytes: int = 0, trash_bytes: int = 0) -> None:
    """The hub wrote or removed so much. One statement."""
    if files_bytes or trash_bytes:
        ProjectStorage.objects.filter(project=project).update(
            files_bytes=F("files_bytes") + files_bytes, trash_bytes=F("trash_bytes") + trash_bytes
        )


def note_files(project: Project, files_bytes: int) -> None:
    """The project's files were measured elsewhere; nothing for a project that never was measured here."""
    ProjectStorage.objects.filter(project=project).update(files_bytes=files_bytes)


class Room:
    """How much a project may still grow, by its own quota and by that of the person whose storage it is."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._person = holder_of(project)
        self._quotas: EffectiveQuotas = effective_quotas(self._person, project.team)
        self._is_limited = any(
            self._quotas.count(quota) is not None
            for quota in (Quota.PROJECT_STORAGE_BYTES, Quota.PERSON_STORAGE_BYTES)
        )
        self._left = self._read(None) if self._is_limited else None

    def need(self, grown_bytes: int) -> None:
        """Nothing, while the project may grow by so much. Before a refusal it is measured again.

        Raises:
            QuotaExceeded
        """
        if self._left is None or grown_bytes <= self._smallest(self._left):
            return
        self._left = self._read(timezone.now() - FRESH_FOR)
        if grown_bytes > self._smallest(self._left):
            raise self._refusal(self._left, grown_bytes)

    def is_enough_for(self, grown_bytes: int) -> bool:
        """As `need`, for what is left out when it does not fit in."""
        try:
            self.need(grown_bytes)
        except QuotaExceeded:
            return False
        return True

    def excess(self) -> QuotaExceeded | None:
        """What a kernel is told that goes on writing when there is more than there may be; None while there is not."""
        if self._left is None or self._smallest(self._left) >= 0:
            return None
        self._left = self._read(timezone.now() - FRESH_FOR)
        return None if self._smallest(self._left) >= 0 else self._over(self._left)

    def counted(self, chunks: Iterable[bytes], *, replaced_bytes: int) -> Iterator[bytes]:
        """The chunks, as long as there is room for them in place of so many bytes. Raises QuotaExceeded.

        `replaced_bytes` is negative when other bytes come on top.
        """
        size_bytes = 0
        for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > replaced_bytes:
                self.need(size_bytes - replaced_bytes)
            yield chunk

    def _read(self, since: datetime | None) -> dict[Quota, tuple[int, int]]:
        """`(limit, used)` of each quota that has a limit."""
        used = {Quota.PROJECT_STORAGE_BYTES: measured(self._project, since=since).total_bytes}
        if self._person is not None and self._quotas.count(Quota.PERSON_STORAGE_BYTES) is not None:
            used[Quota.PERSON_STORAGE_BYTES] = person_storage_bytes(self._person)
        limits = {quota: self._quotas.count(quota) for quota in used}
        return {quota: (limit, used[quota]) for quota, limit in limits.items() if limit is not None}

    @staticmethod
    def _smallest(left: dict[Quota, tuple[int, int]]) -> int:
        return min((limit - used for limit, used in left.values()), default=1 << 62)

    def _refusal(self, left: dict[Quota, tuple[int, int]], grown_bytes: int) -> QuotaExceeded:
        return self._told(left, "this does not fit in", needed=grown_bytes)

    def _over(self, left: dict[Quota, tuple[int, int]]) -> QuotaExceeded:
        return self._told(left, "a kernel that went on writing was ended", needed=0)

    def _told(self, left: dict[Quota, tuple[int, int]], what: str, *, needed: int) -> QuotaExceeded:
        quota = min(left, key=lambda one: left[one][0] - left[one][1])
        limit, used = left[quota]
        if quota is Quota.PROJECT_STORAGE_BYTES:
            whose = "This project has"
        else:
            name = "" if self._person is None else self._person.shown_name
            whose = f"The projects of {name} have"
        return QuotaExceeded(
            f"{whose} {shown_bytes(used)} of {shown_bytes(limit)} of storage in use: {what}. "
            f"Delete files and empty the trash, or ask an administrator for more.",
            quota=quota.value,
            limit=limit,
            used=used,
            unit="bytes",
            origin=self._quotas.origin(quota).value,
            needed=needed,
            project=str(self._project.pk),
        )


def is_full(project: Project) -> bool:
    """Whether the project may not grow at all: what the hub keeps by itself waits until it may."""
    return not Room(project).is_enough_for(1)


def measure_in_use(now: datetime, project_ids: Iterable[UUID] = ()) -> int:
    """Measures projects that people or kernels (`project_ids`) use, and those not measured for a day; how many.

    Called by the worker. Those that waited longest come first; it ends after `MEASURING_BUDGET_S`.
    """
    due = (
        Q(last_opened_at__gt=now - IN_USE_FOR)
        | Q(pk__in=list(project_ids))
        | Q(storage=None)
        | Q(storage__measured_at=None)
        | Q(storage__measured_at__lt=now - MEASURED_EVERY)
    )
    # What was written until it was deleted: once more after that, and never again.
    lately_deleted = (
        Q(storage=None) | Q(storage__measured_at=None) | Q(storage__measured_at__lt=F("deleted_at"))
    )
    projects = Project.objects.filter(
        (due & Q(deleted_at=None)) | (lately_deleted & Q(deleted_at__isnull=False))
    ).order_by(F("storage__measured_at").asc(nulls_first=True))
    ends = time.monotonic() + MEASURING_BUDGET_S
    count = 0
    for project in projects:
        try:
            measure(project)
        except HubError as error:
            log.warning("project_not_measured", project_id=str(project.pk), code=error.code)
            continue
        count += 1
        if time.monotonic() > ends:
            break
    return count


def shown_bytes(count: int) -> str:
    """`1.5 GiB`, `20 MiB`, `3 KiB`, by powers of 1,024 as limits are given."""
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:,.0f} {unit}" if value >= 100 or value == int(value) else f"{value:.1f} {unit}"
