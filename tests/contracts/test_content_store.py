"""What every content store does, whatever backend it has: looking, making, moving; paths and names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from notebooks_app.errors import Exists, FolderTooLarge, HubError, Invalid, NotFound
from notebooks_app.storage import tree
from notebooks_app.storage.content_store import ContentStore
from tests.contracts.content_stores import MakeStore, content, names, sha256, staged


def test_what_was_written_is_read_again_with_its_hash(store: ContentStore) -> None:
    written = store.write("a.txt", [b"hello ", b"world"])
    assert written.is_new
    assert written.entry.sha256 == sha256(b"hello world")
    assert (written.entry.path, written.entry.type, written.entry.size_bytes) == ("a.txt", "file", 11)
    entry, data = store.read("a.txt", max_bytes=11)
    assert data == b"hello world"
    assert entry.modified_at is not None
    assert entry.modified_at.tzinfo is not None
    assert not store.write("a.txt", [b"again"]).is_new
    assert content(store, "a.txt") == b"again"
    assert store.write("empty", []).entry.size_bytes == 0
    assert staged(store) == []


def test_folders_on_the_way_are_made(store: ContentStore) -> None:
    store.write("a/b/c.ipynb", [b"x"])
    assert [(entry.path, entry.type) for entry in store.list_folder("a/b")] == [("a/b/c.ipynb", "notebook")]
    assert store.entry("a").type == "folder"
    assert store.entry("a/").sha256 is None
    assert store.entry("").type == "folder"


def test_a_listing_has_folders_first_then_names_in_their_order(store: ContentStore) -> None:
    for path in ("b.txt", "A.txt", "z/x", "c/x", "nb.ipynb"):
        store.write(path, [b"1"])
    assert names(store) == ["c", "z", "A.txt", "b.txt", "nb.ipynb"]
    assert store.list_folder("")[2].sha256 == sha256(b"1")


def test_a_folder_with_too_many_entries_is_not_listed(
    store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_ENTRIES", 2)
    for name in "ab":
        store.write(f"d/{name}", [b"1"])
    assert names(store, "d") == ["a", "b"]
    store.write("d/c", [b"1"])
    with pytest.raises(FolderTooLarge):
        store.list_folder("d")
    assert content(store, "d/c") == b"1"


def test_what_is_not_there_is_not_found(store: ContentStore) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.entry("no"),
        lambda: store.list_folder("no"),
        lambda: store.read("no/no", max_bytes=1),
        lambda: store.move("no", "b"),
        lambda: store.copy("no", "b"),
        lambda: store.take_out("no", "trash/1/no"),
        lambda: store.take_out("", "trash/1/all"),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert names(store) == []


def test_a_folder_is_no_file_and_a_file_is_no_folder(store: ContentStore) -> None:
    store.write("d/f", [b"1"])
    with pytest.raises(Invalid):
        store.write("d", [b"2"])
    with pytest.raises(Invalid):
        store.write("", [b"2"])
    with pytest.raises(Invalid), store.open_file("d"):
        pass
    with pytest.raises(Invalid):
        store.list_folder("d/f")
    with pytest.raises(HubError):
        store.write("d/f/below", [b"2"])
    assert content(store, "d/f") == b"1"
    assert staged(store) == []


def test_folders_are_made_once(store: ContentStore) -> None:
    assert store.make_folder("a/b").type == "folder"
    for taken in ("a/b", "a", ""):
        with pytest.raises(Exists):
            store.make_folder(taken)
    assert names(store, "a") == ["b"]
    assert names(store, "a/b") == []


def test_files_and_folders_move(store: ContentStore) -> None:
    store.write("d/one", [b"1"])
    store.write("d/sub/two", [b"2"])
    assert store.move("d/one", "e/f/uno").path == "e/f/uno"
    store.move("d", "moved")
    assert content(store, "moved/sub/two") == b"2"
    assert names(store) == ["e", "moved"]
    store.move("e/f/uno", "e/f/UNO")
    assert names(store, "e/f") == ["UNO"]


def test_a_move_or_copy_never_replaces(store: ContentStore) -> None:
    store.write("a", [b"1"])
    store.write("b", [b"2"])
    store.write("d/x", [b"3"])
    for act in (store.move, store.copy):
        for target in ("b", "d", "a", ""):
            with pytest.raises(Exists):
                act("a", target)
    assert (content(store, "a"), content(store, "b")) == (b"1", b"2")


def test_a_folder_does_not_go_into_itself(store: ContentStore) -> None:
    store.write("d/x", [b"1"])
    for act in (store.move, store.copy):
        with pytest.raises(Invalid):
            act("d", "d/e/d")
        with pytest.raises(Invalid):
            act("", "e")
    store.move("d", "dd")  # begins alike, but is no part of it
    assert content(store, "dd/x") == b"1"


def test_files_and_folders_are_copied(store: ContentStore) -> None:
    store.write("d/one", [b"1"])
    store.write("d/sub/two", [b"2"])
    assert store.copy("d", "copies/e").type == "folder"
    assert content(store, "copies/e/sub/two") == b"2"
    store.copy("d/one", "d/two")
    store.write("d/two", [b"changed"])
    assert content(store, "d/one") == b"1"
    assert staged(store) == []


def test_what_was_taken_out_comes_back_beside_what_is_there_now(store: ContentStore) -> None:
    store.write("d/a.txt", [b"old"])
    assert store.take_out("d/a.txt", "trash/1/a.txt") == (False, 3)
    assert names(store, "d") == []
    store.write("d/a.txt", [b"new"])
    assert store.put_back("trash/1/a.txt", "d/a.txt").path == "d/a (restored).txt"
    assert content(store, "d/a (restored).txt") == b"old"
    assert content(store, "d/a.txt") == b"new"


def test_a_folder_that_was_taken_out_comes_back_where_it_was(store: ContentStore) -> None:
    store.write("x/d/a", [b"123"])
    store.write("x/d/e/b", [b"4567"])
    assert store.take_out("x/d", "trash/2/d") == (True, 7)
    store.take_out("x", "trash/3/x")
    assert store.put_back("trash/2/d", "x/d").path == "x/d"
    assert content(store, "x/d/e/b") == b"4567"


HOSTILE = [
    "../p2/secret", "a/../../p2/secret", "..", ".", "a/.", "/etc/passwd", "//etc/passwd", "a//b", "a\\b", "..\\p2",
    "a\0b", "..%2fp2", "a%5Cb", "%2e%2e/p2", "a%00", "\ud800", "x" * 256, "é" * 128, "/".join(["d"] * 600), "a/ /../b",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_is_none_is_not_found_and_nothing_is_touched(make_store: MakeStore, path: str) -> None:
    store = make_store(allows_hidden=True)
    store.write("a/b", [b"1"])
    store._tree.files.makedirs("projects/p2", exist_ok=True)
    with store._tree.files.open("projects/p2/secret", "wb") as stream:
        stream.write(b"secret")
    calls: list[Callable[[], object]] = [
        lambda: store.entry(path),
        lambda: store.list_folder(path),
        lambda: store.read(path, max_bytes=1000),
        lambda: store.write(path, [b"x"]),
        lambda: store.make_folder(path),
        lambda: store.move("a/b", path),
        lambda: store.move(path, "stolen"),
        lambda: store.copy("a/b", path),
        lambda: store.copy(path, "stolen"),
        lambda: store.take_out(path, "trash/1/x"),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert names(store) == ["a"]
    assert names(store, "a") == ["b"]
    with store._tree.files.open("projects/p2/secret", "rb") as stream:
        assert stream.read() == b"secret"


def test_hidden_files_are_there_only_where_they_are_allowed(make_store: MakeStore) -> None:
    open_store, store = make_store(allows_hidden=True), make_store()
    open_store.write(".env", [b"1"])
    open_store.write("d/.git/config", [b"1"])
    assert names(open_store) == ["d", ".env"]
    assert names(store) == ["d"]
    assert names(store, "d") == []
    for path in (".env", "d/.git/config", "d/.git", ".new"):
        for call in (store.entry, store.list_folder, store.make_folder):
            with pytest.raises(NotFound):
                call(path)
        with pytest.raises(NotFound):
            store.write(path, [b"x"])
    # A folder is moved with all that is in it.
    store.move("d", "e")
    assert content(open_store, "e/.git/config") == b"1"


@pytest.mark.parametrize("name", ["a\nb", "tab\t", "\x1b[31m", "right\u202eto-left", " blank", "blank "])
def test_a_name_that_misleads_is_not_given(store: ContentStore, name: str) -> None:
    with pytest.raises(Invalid):
        store.write(name, [b"1"])
    with pytest.raises(Invalid):
        store.make_folder(name)
    assert names(store) == []


@pytest.mark.parametrize(
    "name", ["100%.txt", "50%2c.txt", "ünï", "日本", "a b", "a'b\"c", "$(x)", "-rf", "a:b", "#1?"]
)
def test_unusual_names_are_ordinary(store: ContentStore, name: str) -> None:
    store.write(name, [b"1"])
    assert names(store) == [name]
    assert content(store, name) == b"1"
