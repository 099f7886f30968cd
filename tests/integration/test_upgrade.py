"""A hub started on the database of an older version: upgraded by itself after a copy, or left as it was."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.live_hub import ROOT, LiveHub, wait_for

pytestmark = pytest.mark.integration

# What the first version had: its tables, a person, their team and project, in the words of that time.
OLD_HUB = """
import django
django.setup()
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
first = [("accounts", "0001_initial"), ("notebooks_app", "0001_initial"), ("kernels_app", "0001_initial")]
others = [("sessions", "0001_initial"), ("axes", "0001_initial")]
executor = MigrationExecutor(connection)
executor.migrate(first + others)
apps = MigrationExecutor(connection).loader.project_state(first).apps
from django.contrib.auth.hashers import make_password
User, Team, TeamMembership = (apps.get_model("accounts", name) for name in ("User", "Team", "TeamMembership"))
Project, ProjectMembership = (apps.get_model("notebooks_app", name) for name in ("Project", "ProjectMembership"))
olga = User.objects.create(username="olga", password=make_password("an old password"), is_active=True)
team = Team.objects.create(slug="olga", name="olga")
TeamMembership.objects.create(team=team, user=olga, role="admin")
project = Project.objects.create(team=team, slug="old-work", name="Old work")
ProjectMembership.objects.create(project=project, user=olga, role="owner")
"""
BREAKS_LAST = "CREATE TABLE kernels_app_teamplacement (of_somebody_else TEXT)"


@pytest.fixture
def old_hub(tmp_path: Path) -> LiveHub:
    """Not started yet."""
    hub = LiveHub(tmp_path / "data")
    hub.data_dir.mkdir()
    environment = {
        **hub.environment(), "HUB_SECRET_KEY": "x" * 50, "DJANGO_SETTINGS_MODULE": "zasper_hub.settings.production"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", OLD_HUB],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return hub


def content_of(database: Path) -> list[str]:
    """Every table and every row."""
    with closing(sqlite3.connect(database)) as opened:
        return list(opened.iterdump())


def copies(hub: LiveHub) -> list[Path]:
    return sorted(hub.data_dir.glob("backups/*"))


def test_an_older_database_is_copied_and_upgraded_and_its_people_go_on(old_hub: LiveHub) -> None:
    before = content_of(old_hub.data_dir / "hub.sqlite3")
    old_hub.start()
    try:
        [copy] = copies(old_hub)
        assert content_of(copy) == before
        assert copy.stat().st_mode & 0o777 == 0o600
        printed = old_hub.output_path.read_text(encoding="utf-8")
        assert f"An upgrade. The database of before is kept: {copy}" in printed
        with old_hub.client("olga") as client:
            found = client.get("projects").raise_for_status().json()
            [project] = [one for one in found if one["slug"] == "old-work"]
            assert (project["name"], project["role"]) == ("Old work", "owner")
            client.put(f"projects/{project['id']}/files/new.txt", content=b"new").raise_for_status()
        old_hub.stop()
        old_hub.start()
        assert copies(old_hub) == [copy], "a start that upgrades nothing copies nothing"
    finally:
        old_hub.stop()


def test_an_upgrade_that_fails_says_why_and_leaves_the_database_as_it_was(old_hub: LiveHub) -> None:
    database = old_hub.data_dir / "hub.sqlite3"
    with closing(sqlite3.connect(database)) as opened:
        opened.execute(BREAKS_LAST)
        opened.commit()
    before = content_of(database)
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "hub"],
        env=old_hub.environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    [copy] = copies(old_hub)
    assert "The hub does not start." in done.stderr
    assert 'table "kernels_app_teamplacement" already exists' in done.stderr
    assert (
        f"The database is as it was before, for the version of before; a copy of it is {copy}." in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert content_of(database) == before
    assert content_of(copy) == before

    with closing(sqlite3.connect(database)) as opened:
        opened.execute("DROP TABLE kernels_app_teamplacement")
        opened.commit()
    old_hub.start()
    try:
        with old_hub.client("olga") as client:
            wait_for("the old work is there", lambda: client.get("projects").json())
    finally:
        old_hub.stop()
