"""What every content store does with a write: all of it or nothing, and nobody's version is lost."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import suppress

import pytest

from notebooks_app.errors import DiskFull, Exists, HubError, Stale, TooLarge
from notebooks_app.storage.content_store import ContentStore
from tests.contracts.content_stores import MakeStore, content, names, sha256, staged


def test_a_stale_write_is_refused_and_both_versions_are_kept(store: ContentStore) -> None:
    first = store.write("a.txt", [b"one"]).entry.sha256
    assert first is not None
    store.write("a.txt", [b"two"], if_match=first)
    with pytest.raises(Stale) as caught:
        store.write("a.txt", [b"three"], if_match=first)
    assert content(store, "a.txt") == b"two"
    assert caught.value.details["etag"] == sha256(b"two")
    kept_as = caught.value.details["kept_as"]
    assert kept_as.startswith("a (not saved ")
    assert kept_as.endswith(").txt")
    assert content(store, kept_as) == b"three"


def test_many_refused_versions_are_all_kept(store: ContentStore) -> None:
    store.write("d/a", [b"x"])
    for number in range(5):
        with pytest.raises(Stale):
            store.write("d/a", [b"%d" % number], if_match="0" * 64)
    assert sorted(content(store, entry.path) for entry in store.list_folder("d")) == [
        b"0", b"1", b"2", b"3", b"4", b"x",
    ]  # fmt: skip


def test_a_write_that_is_repeated_after_its_answer_was_lost_is_no_conflict(store: ContentStore) -> None:
    first = store.write("a", [b"one"]).entry.sha256
    store.write("a", [b"two"], if_match=first)
    assert store.write("a", [b"two"], if_match=first).entry.sha256 == sha256(b"two")
    assert names(store) == ["a"]


def test_a_conditional_write_to_a_file_that_was_deleted_is_kept_beside(store: ContentStore) -> None:
    with pytest.raises(Stale) as caught:
        store.write("a.txt", [b"mine"], if_match="0" * 64)
    assert caught.value.details["etag"] is None
    assert content(store, caught.value.details["kept_as"]) == b"mine"


def test_a_write_for_a_new_name_never_replaces(store: ContentStore) -> None:
    store.write("a", [b"one"], if_absent=True)
    with pytest.raises(Exists):
        store.write("a", [b"two"], if_absent=True)
    assert content(store, "a") == b"one"
    assert staged(store) == []


@pytest.mark.parametrize("condition", ["if_match", "if_absent"])
def test_of_many_conditional_writers_one_wins_and_nothing_is_lost(
    store: ContentStore,
    condition: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = store.write("a", [b"start"]).entry.sha256 if condition == "if_match" else None
    look = store._identity_now
    meeting = threading.Barrier(2)

    def look_and_wait(parts: tuple[str, ...]) -> Hashable | None:
        # Two writers that are both between their look and their write meet here; a lock keeps them from it.
        current = look(parts)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.5)
        return current

    monkeypatch.setattr(store, "_identity_now", look_and_wait)
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def writer(number: int) -> None:
        start.wait(10)
        try:
            store.write("a", [b"%d" % number], if_match=first, if_absent=condition == "if_absent")
            outcomes.append("won")
        except (Stale, Exists) as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes.count("won") == 1
    assert len(outcomes) == 8
    if condition == "if_match":
        kept = sorted(content(store, entry.path) for entry in store.list_folder(""))
        assert kept == [b"%d" % number for number in range(8)]


def test_a_file_too_large_to_hash_has_an_etag_all_the_same(make_store: MakeStore) -> None:
    make_store().write("a", [b"x" * 2000])
    store = make_store(max_file_bytes=1000)
    entry = store.entry("a")
    assert entry.sha256 is None
    assert entry.etag
    assert store.list_folder("")[0].etag == entry.etag
    with pytest.raises(Stale) as caught:
        store.write("a", [b"new"], if_match=sha256(b"x" * 2000))
    assert caught.value.details["etag"] == entry.etag
    written = store.write("a", [b"new"], if_match=entry.etag)
    assert written.entry.etag == written.entry.sha256 == sha256(b"new")


def test_a_file_over_the_limit_is_refused_before_it_is_all_there(make_store: MakeStore) -> None:
    store = make_store(max_file_bytes=1000)
    store.write("a", [b"old"])
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 300

    with pytest.raises(TooLarge):
        store.write("a", endless())
    assert taken == 4
    assert content(store, "a") == b"old"
    assert staged(store) == []
    with pytest.raises(TooLarge):
        store.read("a", max_bytes=2)


def test_an_upload_that_breaks_off_changes_nothing(store: ContentStore) -> None:
    store.write("a", [b"old"])

    def broken() -> Iterator[bytes]:
        yield b"ne"
        raise ConnectionResetError

    with pytest.raises(HubError):
        store.write("a", broken())
    assert content(store, "a") == b"old"
    assert staged(store) == []


def test_a_full_disk_is_said_and_changes_nothing(store: ContentStore) -> None:
    store.write("a", [b"old"])

    def full() -> Iterator[bytes]:
        yield b"ne"
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskFull) as caught:
        store.write("a", full())
    assert caught.value.code == "disk_full"
    assert content(store, "a") == b"old"
    assert staged(store) == []
