"""What IPython kernels are told at their start, in a real one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernels_app.node.live_kernel import DEADLINE_S, KERNEL_ENVIRONMENT, LiveKernel, live

pytestmark = pytest.mark.integration

IS_LOADED = "import sys; print('debugpy' in sys.modules, 'pydevd' in sys.modules, end='')"
CELL = "a = 20\nb = a + 1\nprint(b * 2, end='')\n"


@pytest.fixture
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKernel]:
    yield from live("python3", tmp_path_factory.mktemp("ipython"))


class Debugging:
    """The Debug Adapter Protocol as JupyterLab speaks it: requests on the control channel, events on iopub."""

    def __init__(self, kernel: LiveKernel) -> None:
        self._client = kernel.client
        self._number = 0

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The body of the answer, which must say that it was done."""
        self._number += 1
        content = {"type": "request", "seq": self._number, "command": command, "arguments": arguments}
        message = self._client.session.msg("debug_request", content)
        self._client.control_channel.send(message)
        while True:
            reply = self._client.get_control_msg(timeout=DEADLINE_S)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                assert reply["content"]["success"], reply["content"]
                body: dict[str, Any] = reply["content"].get("body", {})
                return body

    def wait_for(self, event: str) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            message = self._client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            if message["msg_type"] == "debug_event" and message["content"]["event"] == event:
                body: dict[str, Any] = message["content"]["body"]
                return body


def test_a_kernel_has_no_debugger_loaded_and_says_that_it_can_debug(python: LiveKernel) -> None:
    (output,) = python.run(IS_LOADED)
    assert output["text"] == "False False"
    asked = python.client.kernel_info()
    reply: dict[str, Any] = {"parent_header": {}}
    while reply["parent_header"].get("msg_id") != asked:
        reply = python.client.get_shell_msg(timeout=DEADLINE_S)
    assert "debugger" in reply["content"]["supported_features"]


def test_a_breakpoint_stops_a_cell_and_its_variables_can_be_seen(python: LiveKernel) -> None:
    debugging = Debugging(python)
    debugging.ask("initialize", clientID="test", adapterID="", pathFormat="path", linesStartAt1=True)
    debugging.ask("attach")
    path = debugging.ask("dumpCell", code=CELL)["sourcePath"]
    found = debugging.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": 3}], lines=[3])
    assert found["breakpoints"][0]["verified"]
    debugging.ask("configurationDone")
    python.client.execute(CELL)
    thread = debugging.wait_for("stopped")["threadId"]
    frame = debugging.ask("stackTrace", threadId=thread)["stackFrames"][0]
    assert frame["line"] == 3
    scopes = debugging.ask("scopes", frameId=frame["id"])["scopes"]
    variables = debugging.ask("variables", variablesReference=scopes[0]["variablesReference"])["variables"]
    assert {"a": "20", "b": "21"}.items() <= {one["name"]: one["value"] for one in variables}.items()
    debugging.ask("continue", threadId=thread)
    debugging.ask("disconnect", restart=False, terminateDebuggee=False)
    (output,) = python.run(IS_LOADED)
    assert output["text"] == "True True"


def completions(code: str, tmp_path: Path) -> list[str]:
    """Of a new kernel, whose person has `tmp_path / "cache"`."""
    ipython = tmp_path / str(time.monotonic_ns())
    ipython.mkdir()
    kernels = live("python3", ipython)
    try:
        reply = next(kernels).client.complete(code, reply=True, timeout=DEADLINE_S)
    finally:
        kernels.close()
    return list(reply["content"]["matches"])


def parsed(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.pkl")}


def test_a_first_completion_finds_the_builtins_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shared = parsed(KERNEL_ENVIRONMENT / "share" / "parsed-files")
    assert shared
    assert "print" in completions("pri", tmp_path)
    assert not parsed(tmp_path / "cache") & shared, "nothing is parsed twice"


def test_what_a_killed_kernel_left_half_written_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code = "import colorsys as c\nc.rgb_to_h"
    whole = completions(code, tmp_path)
    assert "rgb_to_hsv" in whole
    found = list((tmp_path / "cache").rglob("*.pkl"))
    assert found
    sizes = {path: path.stat().st_size for path in found}
    for path, size in sizes.items():
        os.truncate(path, size // 2)
    assert completions(code, tmp_path) == whole
    assert {path: path.stat().st_size for path in found} == sizes
    assert not list((tmp_path / "cache").rglob("*.pkl.*"))
