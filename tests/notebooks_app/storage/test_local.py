"""What only a local folder can have: links, pipes, modes, a kernel that changes it meanwhile, a disk that is full."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notebooks_app.errors import (
    DiskFull,
    Exists,
    HubError,
    NotFound,
    Stale,
    Unavailable,
)
from notebooks_app.storage.content_store import ContentStore
from notebooks_app.storage.local import LocalFiles


def names_in(folder: Path) -> list[str]:
    return sorted(place.name for place in folder.iterdir())


def test_a_link_that_leads_out_is_not_there_and_nothing_behind_it_is_touched(
    store: ContentStore, project: Path
) -> None:
    (project / "file").symlink_to("../p2/secret")
    (project / "folder").symlink_to(project.parent / "p2")
    assert store.list_folder("") == []
    for path in ("file", "folder", "folder/secret", "folder/new"):
        calls: list[Callable[[], object]] = [
            lambda path=path: store.read(path, max_bytes=10),  # type: ignore[misc]  # mypy cannot infer defaults
            lambda path=path: store.write(path, [b"x"]),  # type: ignore[misc]
            lambda path=path: store.copy(path, "stolen"),  # type: ignore[misc]
            lambda path=path: store.make_folder(path),  # type: ignore[misc]
        ]
        for call in calls:
            with pytest.raises(NotFound):
                call()
    assert names_in(project.parent / "p2") == ["secret"]
    assert (project.parent / "p2" / "secret").read_text() == "secret"


def test_a_link_is_deleted_and_moved_and_not_what_it_points_to(store: ContentStore, project: Path) -> None:
    (project / "file").symlink_to("../p2/secret")
    store.move("file", "renamed")
    assert (project / "renamed").readlink() == Path("../p2/secret")
    store.take_out("renamed", "trash/1/renamed")
    assert (project.parent / "p2" / "secret").read_text() == "secret"


def test_links_inside_are_written_through(store: ContentStore, project: Path) -> None:
    (project / "real").mkdir()
    (project / "link").symlink_to("real")
    (project / "latest.txt").symlink_to("real/a.txt")
    store.write("link/a.txt", [b"1"])
    store.write("latest.txt", [b"22"])
    assert (project / "real" / "a.txt").read_bytes() == b"22"
    assert (project / "latest.txt").is_symlink()
    assert [(entry.name, entry.type, entry.size_bytes) for entry in store.list_folder("")] == [
        ("link", "folder", 0),
        ("real", "folder", 0),
        ("latest.txt", "file", 2),
    ]
    assert store.list_folder("link")[0].path == "link/a.txt"


def test_a_copy_of_a_folder_takes_links_as_links(store: ContentStore, project: Path) -> None:
    (project / "d").mkdir()
    (project / "d" / "out").symlink_to("../../p2/secret")
    store.copy("d", "e")
    assert (project / "e" / "out").is_symlink()
    with pytest.raises(NotFound):
        store.read("e/out", max_bytes=10)


def test_a_folder_that_becomes_a_link_between_check_and_act_leads_nowhere(
    store: ContentStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "d").mkdir()
    resolved = store._tree.resolved

    def resolve_then_swap(path: str, **options: bool) -> tuple[str, ...]:
        parts = resolved(path, **options)
        if (project / "d").is_dir() and not (project / "d").is_symlink():
            (project / "d").rename(project / "gone")
            (project / "d").symlink_to("../p2")
        return parts

    monkeypatch.setattr(store._tree, "resolved", resolve_then_swap)
    for call in (
        lambda: store.write("d/secret", [b"overwritten"]),
        lambda: store.read("d/secret", max_bytes=10),
        lambda: store.take_out("d/secret", "trash/1/secret"),
    ):
        (project / "d").unlink() if (project / "d").is_symlink() else None
        if (project / "gone").is_dir():
            (project / "gone").rename(project / "d")
        with pytest.raises(NotFound):
            call()
    assert (project.parent / "p2" / "secret").read_text() == "secret"


def test_a_pipe_does_not_hold_up_the_hub(store: ContentStore, project: Path) -> None:
    os.mkfifo(project / "pipe")
    for call in (
        store.entry,
        lambda path: store.read(path, max_bytes=1),
        lambda path: store.write(path, [b"x"]),
    ):
        with pytest.raises(NotFound):
            call("pipe")
    assert store.list_folder("") == []
    (project / "d").mkdir()
    os.mkfifo(project / "d" / "pipe")
    store.copy("d", "e")
    assert names_in(project / "e") == []


def test_the_mode_of_a_file_stays_when_it_is_written(store: ContentStore, project: Path) -> None:
    script = project / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    store.write("run.sh", [b"new"])
    assert script.stat().st_mode & 0o777 == 0o750
    store.write("new.txt", [b"x"])
    assert (project / "new.txt").stat().st_mode & 0o600 == 0o600


def test_a_name_that_is_no_unicode_is_left_out(store: ContentStore, project: Path) -> None:
    Path(os.fsdecode(os.fsencode(project) + b"/\xff\xfe")).write_text("x")
    store.write("a", [b"1"])
    assert [entry.name for entry in store.list_folder("")] == ["a"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[None]:
    """Writing beyond 64 kB of a file fails in this process, as on a disk without space."""
    import signal

    old_action = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, old_action)


def test_when_the_system_refuses_to_write_nothing_is_changed_and_nothing_left(
    store: ContentStore, project: Path, small_disk: None
) -> None:
    store.write("a", [b"old"])
    with pytest.raises(HubError):
        store.write("a", [b"x" * 50_000] * 4)
    assert (project / "a").read_bytes() == b"old"
    assert names_in(project.parent / ".incoming") == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("method", ["_open", "mv", "makedirs"])
def test_a_full_disk_at_any_step_changes_nothing(
    store: ContentStore, project: Path, monkeypatch: pytest.MonkeyPatch, number: int, method: str
) -> None:
    store.write("a", [b"old"])
    original: Callable[..., object] = getattr(LocalFiles, method)

    def full(files: LocalFiles, path: str, *args: object, **options: object) -> object:
        if method == "_open" and args[:1] != ("wb",) and options.get("mode") != "wb":
            return original(files, path, *args, **options)
        raise OSError(number, "full")

    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, method, full)
        with pytest.raises(DiskFull):
            store.write("a", [b"new"])
    assert names_in(project) == ["a"]
    assert (project / "a").read_bytes() == b"old"


def test_what_permissions_forbid_is_said(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(LocalFiles, "mv", refuse)
    with pytest.raises(Unavailable, match="permissions") as caught:
        store.write("a", [b"x"])
    assert "/" not in caught.value.message


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "zasper_hub.settings.test"
from notebooks_app.errors import Stale
from notebooks_app.storage.content_store import ContentStore
from notebooks_app.storage.hashes import HashMemory
from notebooks_app.storage.local import LocalFiles
from notebooks_app.storage.locks import ProcessLocks
root = Path(sys.argv[2])
store = ContentStore(LocalFiles(root), folder="projects/p1", staging="projects/.incoming",
                     locks=ProcessLocks(root / "locks"), hashes=HashMemory())
for number in range(30):
    while True:
        entry, data = store.read("steps", max_bytes=10_000)
        try:
            step = b"%d.%d\\n" % (os.getpid(), number)
            store.write("steps", [data + step], if_match=entry.sha256, keeps_refused=lambda size_bytes: False)
            break
        except Stale:
            continue
"""


def test_processes_that_add_lines_by_conditional_writes_lose_none(
    store: ContentStore, tmp_path: Path
) -> None:
    store.write("steps", [])
    here = str(Path(__file__).resolve().parents[3])
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, here, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for writer in writers:
        _, problem = writer.communicate(timeout=60)
        assert writer.returncode == 0, problem.decode()
    lines = store.read("steps", max_bytes=10_000)[1].split()
    assert sorted(lines) == sorted(
        b"%d.%d" % (writer.pid, number) for writer in writers for number in range(30)
    )
    assert [entry.name for entry in store.list_folder("")] == ["steps"]


def test_a_reader_sees_a_whole_version_whenever_it_looks(store: ContentStore) -> None:
    versions = [bytes([letter]) * 200_000 for letter in b"ab"]
    store.write("a", [versions[0]])
    end = threading.Event()
    seen: set[bytes] = set()
    problems: list[BaseException] = []

    def read() -> None:
        try:
            while not end.is_set():
                seen.add(store.read("a", max_bytes=1_000_000)[1])
        except BaseException as error:
            problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        store.write("a", [versions[number % 2]])
    end.set()
    reader.join(30)
    assert problems == []
    assert seen <= set(versions)


def test_memory_stays_flat_while_a_large_file_is_written_and_read(store: ContentStore) -> None:
    import tracemalloc

    chunk = b"x" * 262_144
    tracemalloc.start()
    try:
        store.write("big", (chunk for _ in range(400)))
        with store.open_file("big") as (entry, stream):
            assert entry.size_bytes == 400 * len(chunk)
            while stream.read(262_144):
                pass
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10_000_000


def test_a_new_name_is_never_taken_from_a_kernel_that_was_faster(
    store: ContentStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = store._publish

    def kernel_first(staged: str, parts: tuple[str, ...], *, is_exclusive: bool) -> None:
        (project / "a").write_text("the kernel's")
        publish(staged, parts, is_exclusive=is_exclusive)

    monkeypatch.setattr(store, "_publish", kernel_first)
    with pytest.raises(Exists):
        store.write("a", [b"mine"], if_absent=True)
    assert (project / "a").read_text() == "the kernel's"


def test_a_refused_version_of_a_file_with_a_long_name_is_kept(store: ContentStore) -> None:
    name = "ü" * 120 + ".ipynb"
    store.write(name, [b"1"])
    with pytest.raises(Stale) as caught:
        store.write(name, [b"2"], if_match="0" * 64)
    kept_as = caught.value.details["kept_as"]
    assert kept_as.endswith(").ipynb")
    assert store.read(kept_as, max_bytes=10)[1] == b"2"
