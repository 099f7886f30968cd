"""Copies of an SQLite database before an upgrade."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from zasper_hub.accounts.database_copy import KEPT_COPIES, copy_database, put_back

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "hub.sqlite3"
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA journal_mode=WAL")
        opened.execute("CREATE TABLE people (name TEXT)")
        opened.execute("INSERT INTO people VALUES ('alice')")
        opened.commit()
    return path


def people(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as opened:
        return [name for (name,) in opened.execute("SELECT name FROM people ORDER BY name")]


def test_what_is_only_in_the_log_of_an_open_database_is_copied_too(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("INSERT INTO people VALUES ('bob')")
        writer.commit()
        copy = copy_database(database, tmp_path / "backups", NOW)
    assert people(copy) == ["alice", "bob"]
    assert copy.name == "before-upgrade-2026-11-22-200000.sqlite3"


def test_a_copy_is_put_back_whole(database: Path, tmp_path: Path) -> None:
    copy = copy_database(database, tmp_path / "backups", NOW)
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("DROP TABLE people")
        writer.execute("CREATE TABLE others (name TEXT)")
        writer.commit()
    put_back(copy, database)
    assert people(database) == ["alice"]
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_only_the_last_copies_are_kept(database: Path, tmp_path: Path) -> None:
    made = [
        copy_database(database, tmp_path / "backups", NOW + timedelta(days=day))
        for day in range(KEPT_COPIES + 2)
    ]
    assert sorted((tmp_path / "backups").iterdir()) == made[2:]


def test_a_database_that_is_not_there_is_neither_copied_nor_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        copy_database(tmp_path / "absent.sqlite3", tmp_path / "backups", NOW)
    assert list((tmp_path / "backups").iterdir()) == []
    assert not (tmp_path / "absent.sqlite3").exists()
