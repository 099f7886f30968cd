"""How the hub looks at files that a kernel changes meanwhile, or makes too large or too many of."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Any

import pytest

from notebooks_app.errors import (
    FolderTooLarge,
    Stale,
    TooLarge,
    Unavailable,
)
from notebooks_app.storage import local, tree
from notebooks_app.storage.content_store import ContentStore
from notebooks_app.storage.hashes import HashMemory


def test_a_hash_is_the_files_own_also_right_after_a_change(store: ContentStore, project: Path) -> None:
    for number in range(20):
        (project / "a").write_bytes(b"%05d" % number)
        assert store.read("a", max_bytes=10)[0].sha256 == store.entry("a").sha256


def test_a_known_hash_is_not_made_again(store: ContentStore, project: Path) -> None:
    (project / "a").write_bytes(b"x" * 1000)
    os.utime(project / "a", (1, 1))
    # The change of the inode is a moment ago: only once it is older than a tick may the hash be kept.
    identity = (1, 2, 3, 4, 5)
    hashes = HashMemory()
    with (project / "a").open("rb") as stream:
        first = hashes.hash_of(stream, identity, max_bytes=1000)
        assert hashes.known(identity) == first
    with Path(os.devnull).open("rb") as stream:
        assert hashes.hash_of(stream, identity, max_bytes=0) == first


def test_of_a_folder_with_too_many_entries_no_more_are_read(
    store: ContentStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_ENTRIES", 3)
    for name in "abc":
        (project / name).touch()
    assert len(store.list_folder("")) == 3
    assert store.fingerprint("") is not None
    for number in range(50):
        (project / f"more{number}").touch()
    looked_at = 0
    info = local._info

    def count(*given: Any) -> dict[str, Any]:
        nonlocal looked_at
        looked_at += 1
        return info(*given)

    monkeypatch.setattr(local, "_info", count)
    with pytest.raises(FolderTooLarge, match="more than 3 entries"):
        store.list_folder("")
    assert looked_at <= 6
    assert store.fingerprint("") is None


def test_what_is_larger_than_allowed_is_not_hashed(project: Path) -> None:
    (project / "a").write_bytes(b"x" * 1001)
    with (project / "a").open("rb") as stream:
        assert HashMemory().hash_of(stream, None, max_bytes=1000) is None
        assert stream.tell() == 0


def test_a_file_of_8_tib_without_content_is_told_and_replaced_at_once(
    store: ContentStore, project: Path
) -> None:
    with (project / "big").open("wb") as sparse:
        sparse.truncate(1 << 43)
    started_at = time.monotonic()
    entry = store.entry("big")
    assert (entry.sha256, entry.size_bytes) == (None, 1 << 43)
    with pytest.raises(TooLarge):
        store.read("big", max_bytes=1000)
    with pytest.raises(Stale):
        store.write("big", [b"x"], if_match="0" * 64)
    store.write("big", [b"x"], if_match=entry.etag)
    assert time.monotonic() - started_at < 5
    assert (project / "big").read_bytes() == b"x"


@pytest.mark.parametrize("with_condition", [False, True])
def test_nobody_waits_for_a_lock_while_a_file_is_hashed(
    store: ContentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_condition: bool
) -> None:
    first = store.write("a", [b"one"]).entry.etag
    hash_of = HashMemory.hash_of
    hashed = []

    def hash_and_look(*given: Any, **options: Any) -> str | None:
        # Whoever holds a lock file keeps it from us; another process would wait for it.
        for stripe in (tmp_path / "locks").iterdir():
            with stripe.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hashed.append(given)
        return hash_of(*given, **options)

    monkeypatch.setattr(HashMemory, "hash_of", hash_and_look)
    store.write("a", [b"two"], if_match=first if with_condition else None)
    assert len(hashed) == (2 if with_condition else 1)  # what was there, for a condition; what is there now


def test_a_file_that_a_kernel_changes_while_it_is_hashed_is_not_written_over(
    store: ContentStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.write("a", [b"one"]).entry.etag
    hash_of = HashMemory.hash_of

    def hash_and_change(*given: Any, **options: Any) -> str | None:
        sha256 = hash_of(*given, **options)
        monkeypatch.setattr(HashMemory, "hash_of", hash_of)
        (project / "a").write_bytes(b"the kernel's")
        return sha256

    monkeypatch.setattr(HashMemory, "hash_of", hash_and_change)
    with pytest.raises(Stale):
        store.write("a", [b"two"], if_match=first)
    assert (project / "a").read_bytes() == b"the kernel's"


def test_a_conditional_write_to_a_file_that_changes_all_the_time_is_refused(
    store: ContentStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.write("a", [b"one"]).entry.etag
    hash_of = HashMemory.hash_of

    def hash_and_append(*given: Any, **options: Any) -> str | None:
        sha256 = hash_of(*given, **options)
        with (project / "a").open("ab") as file:
            file.write(b".")
        return sha256

    monkeypatch.setattr(HashMemory, "hash_of", hash_and_append)
    with pytest.raises(Unavailable):
        store.write("a", [b"two"], if_match=first)
    assert not list((project.parent / ".incoming").iterdir())


def test_a_fingerprint_changes_with_what_is_in_the_folder(store: ContentStore, project: Path) -> None:
    seen = {store.fingerprint("")}
    (project / "a").write_text("1")
    seen.add(store.fingerprint(""))
    (project / "a").write_text("22")
    seen.add(store.fingerprint(""))
    (project / "d").mkdir()
    seen.add(store.fingerprint(""))
    (project / "a").unlink()
    last = store.fingerprint("")
    seen.add(last)
    assert len(seen) == 5
    (project / ".hidden").write_text("x")
    (project / "d" / "inside").write_text("x")
    (project / "d" / "inside").unlink()
    assert store.fingerprint("no") is None
    assert store.fingerprint("../p2") is None
