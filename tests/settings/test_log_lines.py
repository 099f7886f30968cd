"""Log lines carry ids: no values of variables, no raw control characters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from zasper_hub.settings.log_lines import configure_log_lines


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    before: dict[str, Any] = structlog.get_config()
    configure_log_lines("INFO")
    yield
    structlog.configure(**before)


def test_a_traceback_tells_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(token: str) -> None:
        raise ValueError(len(token))

    try:
        fail("zasper_secret_" + "token")
    except ValueError:
        structlog.get_logger().exception("it_failed", document_id="d1")
    line = capsys.readouterr().err
    assert "zasper_secret_token" not in line
    assert "ValueError: 19" in line
    assert "document_id='d1'" in line
    assert line.count("\n") == 1


def test_control_characters_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("odd\x1b[31m\nname", path="a\x1b[0m\r\nlevel='error'\x85\u2028")
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert all(letter.isprintable() for letter in line.rstrip("\n"))


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log_lines("WARNING")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line for line in capsys.readouterr().err.splitlines() if "quiet" in line] == []


def test_a_line_that_cannot_be_written_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8", buffering=1) as full_disk:
        monkeypatch.setattr("sys.stderr", full_disk)
        configure_log_lines("INFO")
        structlog.get_logger().error("nowhere_to_say_this")
        with pytest.raises(OSError, match="No space left"):
            full_disk.write("so it was\n")
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full_disk.close()
