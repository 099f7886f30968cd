"""Versions that make themselves: of what somebody changed and closed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from kernels_app.bus.memory_store import memory_store
from kernels_app.bus.transport import TransportError
from notebooks_app.models import Document
from notebooks_app.services import documents_versions
from notebooks_app.services.documents_versions import RELOAD, keep_versions_of_left, note_left
from tests.cast import Cast
from tests.notebooks_app.sync.documents import make_document

pytestmark = pytest.mark.django_db

LATER = RELOAD + timedelta(seconds=1)


def test_what_was_left_becomes_a_version_of_who_left_it(cast: Cast) -> None:
    document = make_document(cast)
    note_left(str(document.pk), cast.bob)
    assert keep_versions_of_left(timezone.now()) == 0  # perhaps only loaded again
    assert keep_versions_of_left(timezone.now() + LATER) == 1
    [version] = document.versions.all()
    assert (version.reason, version.created_by) == ("close", cast.bob)
    document.refresh_from_db()
    assert (document.left_at, document.left_by) == (None, None)
    assert keep_versions_of_left(timezone.now() + LATER) == 0


def test_the_same_content_is_no_second_version(cast: Cast) -> None:
    document = make_document(cast)
    for _ in range(2):
        note_left(str(document.pk), cast.bob)
        keep_versions_of_left(timezone.now() + LATER)
    assert document.versions.count() == 1


def test_who_leaves_while_the_version_is_made_gets_another_look(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = make_document(cast)
    note_left(str(document.pk), cast.bob)
    real = documents_versions.save_version

    def leave_meanwhile(left: Document, **words: object) -> object:
        note_left(str(document.pk), cast.alice)
        return real(left, **words)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(documents_versions, "save_version", leave_meanwhile)
    keep_versions_of_left(timezone.now() + LATER)
    document.refresh_from_db()
    assert document.left_by == cast.alice


def test_nothing_is_forgotten_while_the_wire_is_down(cast: Cast) -> None:
    document = make_document(cast)
    note_left(str(document.pk), cast.bob)
    memory_store("tests").set_down(True)
    try:
        with pytest.raises(TransportError):
            keep_versions_of_left(timezone.now() + LATER)
    finally:
        memory_store("tests").set_down(False)
    assert keep_versions_of_left(timezone.now() + LATER) == 1
