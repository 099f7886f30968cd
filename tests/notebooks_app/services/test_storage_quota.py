"""Storage of projects and people: at 100 % only growth is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notebooks_app.errors import QuotaExceeded, Stale
from notebooks_app.models import Project, ProjectMembership, ProjectStorage, Role
from notebooks_app.selectors.storage import person_storage_bytes, storage_bytes_by_project
from notebooks_app.services import files
from notebooks_app.services.projects import delete_project
from notebooks_app.services.storage_quota import Room, measure, measure_in_use, shown_bytes
from notebooks_app.storage.project_files import content_store, project_folder
from tests.cast import Cast, headers_of
from zasper_hub.accounts.models import AuditEvent, User
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


def test_a_refused_version_is_kept_while_there_is_room_for_it(cast: Cast) -> None:
    limit(cast, 10 * KIB)
    write(cast.project, "a", 4_000)
    measure(cast.project)
    for kept in (True, False):
        with pytest.raises(Stale) as caught:
            files.write_file(cast.project, "a", [b"y" * 4_000], if_match="0" * 64)
        assert (caught.value.details["kept_as"] is not None) is kept
    assert len(content_store(cast.project).list_folder("")) == 2
    assert used(cast.project) == measure(cast.project).total_bytes == 8_000


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
    delete_project(other, actor=cast.alice)
    assert person_storage_bytes(cast.alice) == 9_000, "it takes up room for 30 days more"
    with pytest.raises(QuotaExceeded):
        write(cast.project, "c", 2_000)


class DeletedProject:
    """Of alice, with 4,000 bytes; bob edited it. Deleted `minutes` ago."""

    def __init__(self, cast: Cast, *, minutes: float) -> None:
        self.project = Project.objects.create(team=cast.alice.personal_team, slug="old", name="Old")
        ProjectMembership.objects.create(project=self.project, user=cast.alice, role=Role.OWNER)
        ProjectMembership.objects.create(project=self.project, user=cast.bob, role=Role.EDITOR)
        write(self.project, "a", 4_000)
        measure(self.project)
        delete_project(self.project, actor=cast.alice)
        moment = timezone.now() - timedelta(minutes=minutes)
        Project.objects.filter(pk=self.project.pk).update(deleted_at=moment)
        self.address = f"/api/hub/v1/projects/deleted/{self.project.pk}"

    def folder(self) -> Path:
        return Path(settings.DATA_DIR) / project_folder(self.project.pk)


def purge(address: str, person: User) -> Any:
    return Client().delete(address, headers=headers_of(person))


def test_a_deleted_project_counts_is_listed_and_is_purged_by_its_owner_to_make_room(cast: Cast) -> None:
    old = DeletedProject(cast, minutes=3)
    usage = "/api/hub/v1/usage/projects"
    rows = Client().get(usage, headers=headers_of(cast.alice)).json()
    [row] = [row for row in rows if row["project"]["id"] == str(old.project.pk)]
    assert (row["total_bytes"], row["counts_for_me"], row["deleted_at"] is not None) == (4_000, True, True)
    others = Client().get(usage, headers=headers_of(cast.bob)).json()
    assert str(old.project.pk) not in [row["project"]["id"] for row in others]
    limit(cast, 4_500, Quota.PERSON_STORAGE_BYTES, person=cast.alice)
    with pytest.raises(QuotaExceeded):
        write(cast.project, "b", 1_000)
    assert old.folder().is_dir()
    assert purge(old.address, cast.alice).status_code == 204
    assert not old.folder().exists()
    write(cast.project, "b", 1_000)
    assert purge(old.address, cast.alice).status_code == 404
    assert AuditEvent.objects.filter(action="project_purged", actor=cast.alice).count() == 1


@pytest.mark.parametrize("person", ["bob", "mallory", "admin"])
def test_only_who_owned_a_deleted_project_purges_it(cast: Cast, person: str) -> None:
    old = DeletedProject(cast, minutes=3)
    assert purge(old.address, getattr(cast, person)).status_code == 404
    assert old.folder().is_dir()


def test_what_is_not_deleted_or_was_so_just_now_is_not_purged(cast: Cast) -> None:
    old = DeletedProject(cast, minutes=0)
    assert purge(old.address, cast.alice).status_code == 409
    assert purge(f"/api/hub/v1/projects/deleted/{cast.project.pk}", cast.alice).status_code == 404
    assert Project.objects.filter(pk__in=(old.project.pk, cast.project.pk)).count() == 2


def test_what_was_written_before_a_deletion_is_measured_once_more(cast: Cast) -> None:
    old = DeletedProject(cast, minutes=3)
    (old.folder() / "by a kernel").write_bytes(b"x" * 500)
    ProjectStorage.objects.update(measured_at=timezone.now() - timedelta(minutes=5))
    measure_in_use(timezone.now())
    assert used(old.project) == 4_500
    (old.folder() / "by nobody").write_bytes(b"x" * 500)
    measure_in_use(timezone.now())
    assert used(old.project) == 4_500


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
