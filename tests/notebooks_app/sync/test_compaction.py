"""Compaction: the log becomes the snapshot, and whatever breaks in between, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from pycrdt import Doc, Map, Text

from kernels_app.bus.identifiers import DocumentId, update_log
from kernels_app.bus.memory_store import memory_store
from kernels_app.bus.transport import BlockingTransport, Entry, Publication, TransportError
from notebooks_app.models import Document
from notebooks_app.sync import compaction
from notebooks_app.sync.compaction import compact
from notebooks_app.sync.frames import encode_topic_message
from notebooks_app.sync.replica import encode_since, load_replica, record_changes
from notebooks_app.sync.shape import cells_of, read_shape
from notebooks_app.sync.update_log import document_key, load_live, update_publications
from notebooks_app.sync.varint import write_bytes, write_uint
from notebooks_app.wire import blocking_transport
from tests.cast import Cast
from tests.notebooks_app.sync.documents import make_document
from tests.notebooks_app.sync.yjs_bytes import STRING, item, update_of


@pytest.fixture
def document(cast: Cast) -> Iterator[Document]:
    yield make_document(cast)
    memory_store("tests").set_down(False)


def edit(document: Document, text: str) -> str:
    """Somebody types at the start of cell `a`: the stream id of the update."""
    replica = load_live(document)
    with record_changes(replica) as changes:
        source = cells_of(replica)["a"]["source"]
        assert isinstance(source, Text)
        source.insert(0, text)
    ids = blocking_transport().write(update_publications(document_key(document), document.epoch, changes))
    assert ids[0] is not None
    return ids[0]


def snapshot_source(document: Document) -> str:
    document.refresh_from_db()
    return read_shape(load_replica(bytes(document.snapshot))).cells[0].source


def logged(document: Document) -> int:
    return len(blocking_transport().read_log(update_log(document_key(document), document.epoch)))


def test_the_log_moves_into_the_snapshot(document: Document) -> None:
    edit(document, "1 ")
    last = edit(document, "2 ")
    before = timezone.now()
    done = compact(str(document.pk))
    assert (done.entry_count, done.dropped_count, done.stream_id) == (2, 0, last)
    assert snapshot_source(document) == "2 1 x = 1\n"
    assert document.snapshot_stream_id == last
    assert document.snapshot_version == 2
    assert logged(document) == 0
    assert document.dirty_since is not None
    assert document.changed_at is not None
    assert document.dirty_since >= before


def test_dirty_since_stays_that_of_the_oldest_change(document: Document) -> None:
    edit(document, "1 ")
    compact(str(document.pk))
    document.refresh_from_db()
    first = document.dirty_since
    edit(document, "2 ")
    compact(str(document.pk))
    document.refresh_from_db()
    assert document.dirty_since == first
    assert document.changed_at is not None
    assert first is not None
    assert document.changed_at > first


def test_nothing_to_do_changes_nothing(document: Document) -> None:
    assert compact(str(document.pk)).entry_count == 0
    document.refresh_from_db()
    assert document.snapshot_version == 1
    assert document.dirty_since is None


@pytest.mark.django_db
def test_an_unknown_document_is_no_error() -> None:
    assert compact("00000000-0000-4000-8000-000000000000").entry_count == 0


class Breaking:
    """The wire, failing at one of its calls as a process that is killed there would."""

    def __init__(self, wire: BlockingTransport, at: str) -> None:
        self._wire = wire
        self._at = at

    def __getattr__(self, name: str) -> Any:
        if name == self._at:
            raise TransportError(f"killed before {name}")
        return getattr(self._wire, name)


@pytest.mark.parametrize("at", ["read_log", "trim_log", "write"])
def test_an_end_at_any_step_loses_nothing_and_the_next_run_completes(
    document: Document, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    edit(document, "1 ")
    edit(document, "2 ")
    with monkeypatch.context() as patch:
        wire = Breaking(blocking_transport(), at)
        patch.setattr(compaction, "blocking_transport", lambda: wire)
        with pytest.raises(TransportError):
            compact(str(document.pk))
    assert read_shape(load_live(document)).cells[0].source == "2 1 x = 1\n", "what a reader sees meanwhile"
    edit(document, "3 ")
    compact(str(document.pk))
    assert snapshot_source(document) == "3 2 1 x = 1\n"
    assert logged(document) == 0


def test_a_database_that_fails_loses_nothing(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(document, "1 ")

    def fail(*_: object) -> int:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_commit", fail)
        with pytest.raises(OperationalError):
            compact(str(document.pk))
    assert logged(document) == 1
    compact(str(document.pk))
    assert snapshot_source(document) == "1 x = 1\n"


def test_a_compaction_that_lost_the_race_merges_again(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(document, "1 ")
    merge = compaction._merge
    other: list[Document] = []

    def overtaken(snapshot: bytes, entries: list[Entry], now: datetime) -> compaction._Merged:
        if not other:
            other.append(document)
            # Another recorder commits an edit of its own in between.
            replica = load_replica(snapshot)
            cells_of(replica)["b"]["source"].insert(0, "other ")
            Document.objects.filter(pk=document.pk).update(
                snapshot=encode_since(replica), snapshot_version=document.snapshot_version + 1
            )
        return merge(snapshot, entries, now)

    monkeypatch.setattr(compaction, "_merge", overtaken)
    compact(str(document.pk))
    document.refresh_from_db()
    cells = read_shape(load_replica(bytes(document.snapshot))).cells
    assert [cell.source for cell in cells] == ["1 x = 1\n", "other y = 2"]


def test_more_entries_than_are_read_at_once_are_all_merged(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "ENTRIES_AT_ONCE", 3)
    for number in range(7):
        edit(document, f"{number} ")
    assert compact(str(document.pk)).entry_count == 7
    assert snapshot_source(document) == "6 5 4 3 2 1 0 x = 1\n"
    assert logged(document) == 0


def test_an_update_that_cannot_be_merged_is_dropped_and_the_others_are_not(document: Document) -> None:
    edit(document, "good ")
    replica = load_replica(bytes(document.snapshot))
    # A text below a text: it passes the check, which does not know the document.
    (client, clock) = _id_of_text(replica)
    parent = write_uint(0) + write_uint(client) + write_uint(clock)
    bad = update_of(item(STRING, write_bytes(b"x"), parent=parent), client=77)
    write(document, bad)
    edit(document, "better ")
    done = compact(str(document.pk))
    assert done.dropped_count == 1
    assert snapshot_source(document) == "better good x = 1\n"


def _id_of_text(replica: Doc[Any]) -> tuple[int, int]:
    """The id of some text of the seed, which is the work of one client."""
    state = replica.get_state()
    assert state[0] == 1
    client = shift = 0
    for byte in state[1:]:
        client |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    for clock in range(200):
        parent = write_uint(0) + write_uint(client) + write_uint(clock)
        update = update_of(item(STRING, write_bytes(b"x"), parent=parent), client=78)
        try:
            load_replica(encode_since(replica), [update])
        except Exception:
            return client, clock
    raise AssertionError("no update fails")


def write(document: Document, update: bytes) -> None:
    blocking_transport().write(update_publications(document_key(document), document.epoch, [update]))


def test_entries_that_are_no_updates_are_passed_over(document: Document) -> None:
    key = update_log(DocumentId(str(document.pk)), document.epoch)
    blocking_transport().write([Publication(b"nonsense", log=key)])
    blocking_transport().write([Publication(encode_topic_message(b"12345678", b"\x05x"), log=key)])
    edit(document, "1 ")
    compact(str(document.pk))
    assert snapshot_source(document) == "1 x = 1\n"
    assert logged(document) == 0


def test_a_tree_built_to_exhaust_the_stack_never_reaches_the_snapshot(document: Document) -> None:
    """Each update nests a little; together they would be deep enough to crash whoever deletes the root."""
    replica = Doc[Any]()
    inner: Map[Any] = replica.get("cells", type=Map)
    with record_changes(replica) as changes:
        for _ in range(300):
            with replica.transaction():
                for _ in range(8):
                    inner["x"] = child = Map[Any]()
                    inner = child
    for change in changes:
        write(document, change)
    edit(document, "unharmed ")
    compact(str(document.pk))
    assert snapshot_source(document) == "unharmed x = 1\n"
    document.refresh_from_db()
    assert len(document.snapshot) < 10_000


def out_of_order(document: Document) -> tuple[bytes, bytes]:
    """Two updates of which the second builds on the first."""
    replica = load_live(document)
    with record_changes(replica) as changes:
        source = cells_of(replica)["a"]["source"]
        source.insert(0, "1 ")
        source.insert(2, "2 ")
    return changes[0], changes[1]


def test_an_update_that_builds_on_a_missing_one_waits_for_it_in_the_log(document: Document) -> None:
    first, second = out_of_order(document)
    write(document, second)
    edit(document, "meanwhile ")
    assert compact(str(document.pk)).entry_count == 0
    assert snapshot_source(document) == "meanwhile x = 1\n", "what can be merged is"
    assert logged(document) == 2
    write(document, first)
    assert compact(str(document.pk)).entry_count == 3
    assert sorted(snapshot_source(document).split()) == sorted(["1", "2", "meanwhile", "x", "=", "1"])
    assert logged(document) == 0


def test_a_deletion_of_something_missing_waits_for_it_in_the_log(document: Document) -> None:
    replica = load_live(document)
    with record_changes(replica) as changes:
        source = cells_of(replica)["a"]["source"]
        source.insert(0, "1 ")
        del source[0:2]
    write(document, changes[1])
    assert compact(str(document.pk)).entry_count == 0
    write(document, changes[0])
    assert compact(str(document.pk)).entry_count == 2
    assert snapshot_source(document) == "x = 1\n"


def test_what_waits_in_vain_does_not_hold_up_the_log_for_ever(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "WAIT_FOR_MISSING_S", -1.0)
    write(document, out_of_order(document)[1])
    edit(document, "ours ")
    assert compact(str(document.pk)).dropped_count == 1
    assert snapshot_source(document) == "ours x = 1\n"
    assert logged(document) == 0
