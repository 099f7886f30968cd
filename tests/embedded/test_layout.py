"""What is checked before the embedded hub starts: one clear line for each refusal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live_hub import ROOT, free_port
from zasper_hub.embedded.layout import (
    MAX_RUN_DIR_LENGTH,
    StartRefused,
    listen,
    lock_data_dir,
    prepare_layout,
    run_dir_of,
)


def start(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "hub"],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_refused_in_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    port = free_port()
    with listen("127.0.0.1", port):
        done = start({"HUB_DATA_DIR": str(tmp_path), "HUB_PORT": str(port)})
    assert_refused_in_one_line(done, str(port), "HUB_PORT")


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # A file where the folder should be stops root too, whom a mode would not.
    (tmp_path / "data").write_text("", encoding="utf-8")
    done = start({"HUB_DATA_DIR": str(tmp_path / "data"), "HUB_PORT": str(free_port())})
    assert_refused_in_one_line(done, "cannot be written", "HUB_DATA_DIR")


def test_a_second_hub_over_the_same_data_is_refused(tmp_path: Path) -> None:
    with lock_data_dir(prepare_layout(tmp_path)):
        done = start({"HUB_DATA_DIR": str(tmp_path), "HUB_PORT": str(free_port())})
    assert_refused_in_one_line(done, "Another hub", str(os.getpid()))


def test_the_lock_is_free_again_after_the_holder(tmp_path: Path) -> None:
    layout = prepare_layout(tmp_path)
    lock_data_dir(layout).close()
    lock_data_dir(layout).close()


def test_a_setting_that_is_no_number_is_named(tmp_path: Path) -> None:
    done = start({"HUB_DATA_DIR": str(tmp_path), "HUB_PORT": "eighty"})
    assert_refused_in_one_line(done, "HUB_PORT")


def test_an_old_python_is_refused_in_one_line() -> None:
    script = (
        "import sys; sys.version_info = (3, 9, 1); "
        "exec(compile(open('deploy/bootstrap.py').read(), 'bootstrap', 'exec'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert_refused_in_one_line(done, "3.11", "3.9", "PYTHON=")


def test_sockets_go_elsewhere_when_the_path_is_too_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * MAX_RUN_DIR_LENGTH)
    layout = prepare_layout(deep)
    assert layout.run_dir == run_dir_of(deep)
    assert len(str(layout.run_dir)) <= MAX_RUN_DIR_LENGTH
    assert layout.run_dir.stat().st_mode & 0o077 == 0


def test_a_foreign_socket_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("e" * MAX_RUN_DIR_LENGTH)
    prepare_layout(deep)
    owner = os.getuid()
    fixed = run_dir_of(deep)
    monkeypatch.setattr("zasper_hub.embedded.layout.run_dir_of", lambda _: fixed)
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(StartRefused, match="belongs to somebody else"):
        prepare_layout(deep)
