"""The content stores of these tests, one a backend."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from notebooks_app.storage.content_store import ContentStore
from notebooks_app.storage.hashes import HashMemory
from notebooks_app.storage.local import LocalFiles
from notebooks_app.storage.locks import ProcessLocks, ThreadLocks

MakeStore = Callable[..., ContentStore]


@pytest.fixture(params=["local", "memory"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    if request.param == "local":
        files = LocalFiles(tmp_path)
        locks: ProcessLocks | ThreadLocks = ProcessLocks(tmp_path / "locks")
    else:
        files = MemoryFileSystem(global_store=False, skip_instance_cache=True)
        locks = ThreadLocks()
    files.makedirs("projects/p1", exist_ok=True)

    def make(allows_hidden: bool = False, max_file_bytes: int = 10_000_000) -> ContentStore:
        return ContentStore(
            files,
            folder="projects/p1",
            staging="projects/.incoming",
            locks=locks,
            hashes=HashMemory(),
            allows_hidden=allows_hidden,
            max_file_bytes=max_file_bytes,
        )

    return make


@pytest.fixture
def store(make_store: MakeStore) -> ContentStore:
    return make_store()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content(store: ContentStore, path: str) -> bytes:
    return store.read(path, max_bytes=100_000_000)[1]


def names(store: ContentStore, path: str = "") -> list[str]:
    return [entry.name for entry in store.list_folder(path)]


def staged(store: ContentStore) -> list[str]:
    """What is left in the staging folder."""
    try:
        return list(store._tree.files.ls("projects/.incoming", detail=False))
    except FileNotFoundError:
        return []
