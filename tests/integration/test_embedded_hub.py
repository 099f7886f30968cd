"""The embedded hub as its operator meets it: first start, Ctrl-C, second start, no orphan."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.live_hub import ROOT, LiveHub, wait_for
from tests.notebook_files import notebook_file

pytestmark = pytest.mark.integration


def test_first_start_stop_and_second_start(tmp_path: Path) -> None:
    hub = LiveHub(tmp_path / "data", environment={"HUB_ADMIN_PASSWORD": ""})
    hub.start()
    try:
        printed = hub.output_path.read_text(encoding="utf-8")
        assert re.search(r"Administrator: admin\s+password: \S{12,}", printed)
        wait_for(
            "the address is printed",
            lambda: f"ready: {hub.url}" in hub.output_path.read_text(encoding="utf-8"),
        )
        assert httpx.get(f"{hub.url}/healthz").status_code == 200
        refused = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "hub"],
            env=hub.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 1
        assert "Another hub is running" in refused.stderr
        with hub.client() as client:
            project = client.post("projects", json={"name": "Kept"}).raise_for_status().json()
            content = notebook_file("import time; print('started', flush=True); time.sleep(300)")
            client.put(f"projects/{project['id']}/files/a.ipynb", content=content).raise_for_status()
            document = client.post(f"projects/{project['id']}/documents", json={"path": "a.ipynb"}).json()
            client.post(f"documents/{document['id']}/runs", json={"cells": "all"}).raise_for_status()
            wait_for(
                "the cell runs",
                lambda: client.get(f"documents/{document['id']}/runs").json()[0]["state"] == "running",
                timeout_s=30,
            )
        everybody = hub.processes()
        assert len(everybody) >= 6  # five programs and a kernel
        for program in ("web", "recorder", "worker"):
            process = psutil.Process(hub.pid_of(program))
            assert process.cmdline()[:2] == ["zasper-hub", program], "forked from the parent"
            shared = files_of(process) & files_of(everybody[0].parent())
            assert len(shared) == (1 if program == "web" else 0), "the listening socket alone"
        assert hub.interrupt() <= 10
        _, alive = psutil.wait_procs(everybody, timeout=1)
        assert [process.cmdline() for process in alive] == []

        hub.start()
        with hub.client() as client:
            assert "Kept" in [one["name"] for one in client.get("projects").json()]
            runs = client.get(f"documents/{document['id']}/runs").raise_for_status().json()
            assert runs[0]["finished_at"], "the run that the end interrupted is not left open"
        assert hub.output_path.read_text(encoding="utf-8").count("First start") == 1
    finally:
        hub.stop()


def files_of(process: psutil.Process | None) -> set[str]:
    """Sockets, pipes and files that are open."""
    assert process is not None
    opened = set()
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            opened.add(str(entry.readlink()))
    return {name for name in opened if name.startswith(("socket:", "pipe:", "/")) and name != "/dev/null"}


def test_a_database_that_cannot_be_opened_is_told_and_nothing_stays(tmp_path: Path) -> None:
    hub = LiveHub(tmp_path / "data", environment={"DATABASE_URL": "nonsense://nowhere"})
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "hub"],
        env=hub.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 1
    assert "does not load" in done.stdout
    assert "could not be prepared" in done.stderr
    assert "nonsense" in done.stderr
    assert not list((tmp_path / "data" / "logs").glob("web.log")), "no program was started"


def test_killing_the_parent_leaves_no_orphan(tmp_path: Path) -> None:
    hub = LiveHub(tmp_path / "data")
    hub.start()
    try:
        everybody = hub.processes()
        parent = everybody[0].parent()
        assert parent is not None
        parent.kill()
        _, alive = psutil.wait_procs(everybody, timeout=10)
        assert [process.cmdline() for process in alive] == []
    finally:
        hub.stop()


LAST_LOOK = """
from kernels_app.models import Node
print(Node.objects.get().last_seen_at.timestamp())
"""


def test_the_worker_does_its_periodic_work(tmp_path: Path) -> None:
    """Seen by one task of another app than the first: `kernels.watch` looks at the nodes every 10 s."""
    hub = LiveHub(tmp_path / "data")
    hub.start()
    try:
        first = float(hub.shell(LAST_LOOK))
        wait_for(
            "the nodes are looked at",
            lambda: float(hub.shell(LAST_LOOK)) > first,
            timeout_s=40,
            every_s=2,
        )
        assert "ERROR" not in (hub.data_dir / "logs" / "worker.log").read_text(encoding="utf-8")
    finally:
        hub.stop()
