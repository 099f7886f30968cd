"""What a container's health check says of recorder and worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zasper_hub.embedded.health import MAX_AGE_S, reason_against
from zasper_hub.settings.environment import BASE_DIR


def test_a_file_that_is_not_there_yet_is_a_reason(tmp_path: Path) -> None:
    assert "No such file" in reason_against(tmp_path / "healthy", 0)


@pytest.mark.parametrize(("age_s", "is_healthy"), [(0, True), (MAX_AGE_S, True), (MAX_AGE_S + 1, False)])
def test_only_a_round_of_lately_counts(tmp_path: Path, age_s: int, is_healthy: bool) -> None:
    path = tmp_path / "healthy"
    path.touch()
    os.utime(path, (1_000, 1_000))
    assert (reason_against(path, 1_000 + age_s) == "") == is_healthy


def test_the_command_answers_with_its_exit_code_and_loads_no_django(tmp_path: Path) -> None:
    path = tmp_path / "healthy"

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "zasper_hub.embedded.health"],
            env={**os.environ, "HUB_HEALTH_FILE": str(path)}, cwd=BASE_DIR,
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    absent = ask()
    assert absent.returncode == 1
    assert "No such file" in absent.stderr
    path.touch()
    present = ask()
    assert present.returncode == 0
    assert "django" not in present.stderr
