"""A project in a local folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from notebooks_app.storage.content_store import ContentStore
from notebooks_app.storage.hashes import HashMemory
from notebooks_app.storage.local import LocalFiles
from notebooks_app.storage.locks import ProcessLocks


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "p1"
    folder.mkdir(parents=True)
    (tmp_path / "projects" / "p2").mkdir()
    (tmp_path / "projects" / "p2" / "secret").write_text("secret")
    return folder


@pytest.fixture
def store(tmp_path: Path, project: Path) -> ContentStore:
    return ContentStore(
        LocalFiles(tmp_path),
        folder="projects/p1",
        staging="projects/.incoming",
        locks=ProcessLocks(tmp_path / "locks"),
        hashes=HashMemory(),
    )
