"""Storage of projects and people: at 100 % only growth is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notebooks_app.errors import QuotaExceeded
from notebooks_app.models import Project, ProjectMembership, ProjectStorage, Role
from notebooks_app.selectors.storage import person_storage_bytes, storage_bytes_by_project
from notebooks_app.services import files
from notebooks_app.services.storage_quota import Room, measure, measure_in_use, shown_bytes
from notebooks_app.storage.project_files import content_store, project_folder
from tests.cast import Cast, headers_of
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota

KIB = 1024


def limit(
    cast: Cast, size_bytes: int | None, quota: Quota = Quota.PROJECT_STORAGE_BYTES, **whose: Any
) -> None:
    set_quota(Level.PERSON if whose else Level.SITE, quota, size_bytes, actor=cast.admin, **whose)


def write(project: Project, path: str, size_bytes: int) -> None:
    files.write_file(project, path, [b"x" * 100] * (size_bytes // 100))


def used(project: Project) -> int:
    return ProjectStorage.objects.get(project=project).total_bytes


def test_what_does_not_fit_in_is_refused_with_the_figures_and_leaves_nothing(cast: Cast) -> None:
    limit(cast, 10 * KIB)
    write(cast.project, "a", 8_000)
    with pytest.raises(QuotaExceeded) as caught:
        write(cast.project, "b", 8_000)
    details = caught.value.details
    assert (details["quota"], details["limit"], details["used"]) == ("project_storage_bytes", 10 * KIB, 8_000)
    assert (details["unit"], details["origin"]) == ("bytes", "site")
    assert caught.value.message.startswith("This project has 7.8 KiB of 10 KiB of storage in use")
    assert [entry.name for entry in content_store(cast.project).list_folder("")] == ["a"]
    incoming = settings.DATA_DIR / "projects" / ".incoming"
    assert not [path for path in incoming.iterdir() if path.is_file()]
    write(cast.project, "b", 2_000)


def test_a_full_project_is_read_shrunk_moved_and_deleted_from(cast: Cast) -> None:
    write(cast.project, "a", 5_000)
    write(cast.project, "b", 5_000)
    limit(cast, 4 * KIB)  # it has been more than full from now on
    with pytest.raises(QuotaExceeded):
        write(cast.project, "c", 100)
    with pytest.raises(QuotaExceeded):
        write(cast.project, "a", 5_100)
    with pytest.raises(QuotaExceeded):
        files.copy_file(cast.project, "a", "copy", user=cast.alice)
    write(cast.project, "a", 5_000)
    write(cast.project, "a", 1_000)
    assert content_store(cast.project).read("a", max_bytes=2_000)[1] == b"x" * 1_000
    files.move_file(cast.project, "a", "moved", user=cast.alice)
    files.make_folder(cast.project, "folder")
    trashed = files.delete_file(cast.project, "b", user=cast.alice)
    with pytest.raises(QuotaExceeded):
        write(cast.project, "c", 100)  # the trash is storage too
    files.restore_file(cast.project, trashed.pk)
    files.delete_file(cast.project, "b", user=cast.alice)
    assert files.empty_trash(cast.project) == 1
    write(cast.project, "c", 100)
    assert used(cast.project) == 1_100


def test_what_a_kernel_deleted_counts_at_once_for_who_would_be_refused(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(cast, 10 * KIB)
    write(cast.project, "a", 8_000)
    measure(cast.project)
    (settings.DATA_DIR / project_folder(cast.project.pk) / "a").unlink()
    later = timezone.now() + timezone.timedelta(seconds=10)  # type: ignore[attr-defined]
    monkeypatch.setattr(timezone, "now", lambda: later)
    write(cast.project, "b", 8_000)
    assert used(cast.project) == 8_000


def test_what_a_kernel_wrote_counts_when_it_is_measured(cast: Cast) -> None:
    limit(cast, 10 * KIB)
    measure(cast.project)
    folder = settings.DATA_DIR / project_folder(cast.project.pk)
    (folder / "big").write_bytes(b"x" * 20_000)
    assert measure_in_use(timezone.now(), [cast.project.pk]) >= 1
    with pytest.raises(QuotaExceeded):
        write(cast.project, "b", 100)


def test_the_figures_kept_are_those_measured_whatever_the_hub_did(cast: Cast) -> None:
    measure(cast.project)
    write(cast.project, "a", 5_000)
    write(cast.project, "a", 3_000)
    files.make_folder(cast.project, "f")
    write(cast.project, "f/b", 2_000)
    files.copy_file(cast.project, "f", "g", user=cast.alice)
    files.delete_file(cast.project, "f", user=cast.alice)
    files.move_file(cast.project, "a", "g/b", user=cast.alice, overwrites=True)
    trashed = files.delete_file(cast.project, "g", user=cast.alice)
    files.restore_file(cast.project, trashed.pk)
    row = ProjectStorage.objects.get(project=cast.project)
    kept = (row.files_bytes, row.trash_bytes)
    assert kept == (3_000, 4_000)
    row = measure(cast.project)
    assert (row.files_bytes, row.trash_bytes) == kept


def test_a_person_s_storage_is_that_of_the_projects_they_hold(cast: Cast) -> None:
    other = Project.objects.create(team=cast.alice.personal_team, slug="other", name="Other")
    ProjectMembership.objects.create(project=other, user=cast.alice, role=Role.OWNER)
    # Whoever is made an owner later is not charged for it.
    ProjectMembership.objects.create(project=other, user=cast.mallory, role=Role.OWNER)
    measure(cast.project)
    measure(other)
    write(cast.project, "a", 5_000)
    write(other, "b", 4_000)
    assert person_storage_bytes(cast.alice) == 9_000
    assert person_storage_bytes(cast.mallory) == person_storage_bytes(cast.bob) == 0
    assert storage_bytes_by_project([cast.project.pk, other.pk]) == {cast.project.pk: 5_000, other.pk: 4_000}
    limit(cast, 10_000, Quota.PERSON_STORAGE_BYTES, person=cast.alice)
    with pytest.raises(QuotaExceeded, match="The projects of alice have") as caught:
        write(other, "c", 2_000)  # also when mallory does it
    assert caught.value.details["quota"] == "person_storage_bytes"
    assert caught.value.details["origin"] == "person"
    other.deleted_at = timezone.now()
    other.save()
    assert person_storage_bytes(cast.alice) == 5_000
    write(cast.project, "c", 2_000)


def test_the_api_of_files_refuses_growth_and_the_trash_can_be_emptied(cast: Cast) -> None:
    limit(cast, 1_000)
    base = f"/api/hub/v1/projects/{cast.project.pk}"
    client, headers = Client(), headers_of(cast.alice)
    body = {"data": b"x" * 900, "content_type": "application/octet-stream", "headers": headers}
    assert client.put(f"{base}/files/a", **body).status_code == 201  # type: ignore[arg-type]
    refused = client.put(f"{base}/files/b", **body)  # type: ignore[arg-type]
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "quota_exceeded"
    assert "Retry-After" not in refused.headers
    assert client.get(f"{base}/files/a", headers=headers).status_code == 200
    assert client.delete(f"{base}/files/a", headers=headers).status_code == 200
    assert client.delete(f"{base}/trash", headers=headers_of(cast.carol)).status_code == 403
    assert client.delete(f"{base}/trash", headers=headers).status_code == 204
    assert client.put(f"{base}/files/b", **body).status_code == 201  # type: ignore[arg-type]
    [row] = client.get("/api/hub/v1/usage/projects", headers=headers).json()
    assert (row["total_bytes"], row["limit"], row["counts_for_me"]) == (900, 1_000, True)
    [row] = client.get("/api/hub/v1/usage/projects", headers=headers_of(cast.bob)).json()
    assert row["counts_for_me"] is False


def test_jupyter_clients_are_refused_growth_too_in_one_piece_or_in_parts(cast: Cast) -> None:
    limit(cast, 1_000)
    base = f"/jupyter/{cast.project.team.slug}/{cast.project.slug}/api/contents"

    def save(path: str, size_bytes: int, **more: Any) -> Any:
        return Client().put(
            f"{base}/{path}",
            {"type": "file", "format": "text", "content": "x" * size_bytes, **more},
            content_type="application/json",
            headers=headers_of(cast.bob),
        )

    assert save("a", 600).status_code == 201
    refused = save("b", 600)
    assert refused.status_code == 429
    assert "of storage in use" in refused.json()["message"]
    assert save("b", 200, chunk=1).status_code == 201
    assert save("b", 300, chunk=2).status_code == 429


def test_a_write_costs_few_queries(cast: Cast) -> None:
    limit(cast, 10**9)
    limit(cast, 10**9, Quota.PERSON_STORAGE_BYTES)
    write(cast.project, "a", 1_000)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        write(cast.project, "b", 1_000)
    assert len(queries) <= 5, [query["sql"] for query in queries]


def test_without_a_limit_nothing_is_measured(cast: Cast) -> None:
    Room(cast.project).need(1 << 50)
    assert not ProjectStorage.objects.exists()


def test_sizes_are_told_by_powers_of_1024() -> None:
    assert [shown_bytes(size) for size in (0, 1_023, 1_536, 5 << 20, 3 << 29, 2 << 40)] == [
        "0 bytes", "1,023 bytes", "1.5 KiB", "5 MiB", "1.5 GiB", "2 TiB",
    ]  # fmt: skip
