"""What earlier recorders, clean-ups and deleted documents leave on the wire and in the store."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from kernels_app.bus.identifiers import blob_key, run_log, run_log_trimmed, update_log
from kernels_app.bus.operations import BlobRef, Display
from kernels_app.bus.transport import Publication
from kernels_app.recorder import output_logs, program, retention
from notebooks_app.models import Blob, BlobReference, Document
from notebooks_app.storage.blobs import delete_blob, load_blob
from tests.kernels_app.recorder.test_program import C1, Scene, quick, recording, scene, until

__all__ = ["quick", "scene"]
pytestmark = pytest.mark.django_db(transaction=True)


def entries(scene: Scene) -> list[Any]:
    return scene.store.read_log(run_log(scene.key), "0-0", None)  # type: ignore[arg-type]


async def test_logs_that_an_earlier_recorder_had_read_are_trimmed_by_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.begin()
    scene.end()
    async with recording():
        await until(scene.is_finished)
    assert entries(scene)
    # Much later, after a restart: nothing runs any more, and no note comes.
    monkeypatch.setattr(retention, "KEPT_S", 0.0)
    monkeypatch.setattr(program, "LOOK_BACK_EVERY_S", 0.05)
    await database_sync_to_async(Document.objects.update)(changed_at=timezone.now() - timedelta(days=1))
    async with recording():
        await until(lambda: not entries(scene))
    assert scene.store.get_value(run_log_trimmed(scene.key)) is not None


async def test_a_picture_that_comes_again_after_its_first_copy_was_cleaned_up_is_stored_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_logs, "_KNOWN_FOR_S", 0.0)  # a day later
    data = b"a plot" * 10_000
    blob = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    picture = Display(
        seq=0,
        at=1,
        cell_id=C1,
        run_id=scene.run_id,
        index=0,
        output_type="display_data",
        data={},
        metadata={},
        blobs={"image/png": blob},
    )

    def is_kept() -> bool:
        return load_blob(blob.sha256) == data and BlobReference.objects.filter(blob_id=blob.sha256).exists()

    def clean_up() -> None:
        BlobReference.objects.all().delete()
        Blob.objects.all().delete()
        delete_blob(blob.sha256, untouched_for_s=0)

    async with recording():
        scene.begin()
        for _ in range(2):
            scene.store.put_value(blob_key(blob.sha256), data, 60)
            scene.node.write(scene.key, picture)
            await until(is_kept)
            await until(lambda: scene.store.get_value(blob_key(blob.sha256)) is None)
            await database_sync_to_async(clean_up)()


@pytest.mark.parametrize("is_down", [False, True])
def test_logs_of_a_deleted_document_are_deleted(scene: Scene, is_down: bool) -> None:
    edits = update_log(scene.key, scene.document.epoch)
    scene.store.write([Publication(b"an edit", log=edits)])
    scene.begin()
    scene.store.put_value(run_log_trimmed(scene.key), b"1", None)
    scene.store.set_down(is_down)
    scene.document.delete()
    scene.store.set_down(False)
    left = [scene.store.last_id(edits), scene.store.last_id(run_log(scene.key))]
    assert all(entry is None for entry in left) is not is_down
    assert (scene.store.get_value(run_log_trimmed(scene.key)) is None) is not is_down
