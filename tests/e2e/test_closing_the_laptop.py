"""A cell goes on without a browser, through kills of everything but the node; nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import httpx
import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import sign_in
from tests.e2e.pages import NotebookPage, document_id, make_project, upload
from tests.live_hub import ROOT, LiveHub, wait_for
from tests.notebook_files import notebook_file, stream_text

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

KERNEL_PYTHON = ROOT / ".kernel-venv" / "bin" / "python"
LINE_COUNT = 600
PRINTING = (
    f"import time\nfor i in range({LINE_COUNT}):\n    print('line', i, flush=True)\n    time.sleep(0.1)\n"
)
EXPECTED = "".join(f"line {i}\n" for i in range(LINE_COUNT))


def until(started: float, second: float) -> None:
    """Wait for the moment `second` of the story."""
    time.sleep(max(0.0, started + second - time.monotonic()))


def shown_lines(notebook: NotebookPage) -> list[str]:
    text = notebook.cell("cell-0").locator(".out-stdout").first.text_content() or ""
    return text.splitlines()


@pytest.fixture
def python3_kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernelspec `python3` for nbclient: the Python that the hub's kernels use."""
    folder = tmp_path / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = [str(KERNEL_PYTHON), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


@pytest.mark.usefixtures("python3_kernelspec")
def test_a_minute_of_trouble(browser: Browser, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Trouble")
        upload(client, project, "minute.ipynb", notebook_file(PRINTING))
        identity = document_id(client, project, "minute.ipynb")

        context = browser.new_context()
        page = context.new_page()
        sign_in(page, hub)
        notebook = NotebookPage(page, hub, project, "minute.ipynb").open()
        notebook.run("cell-0")
        expect(notebook.cell("cell-0").locator(".out-stdout")).to_contain_text("line 0")
        started = time.monotonic()
        until(started, 5)
        context.close()

        until(started, 20)
        hub.kill("web")
        until(started, 30)
        hub.kill("recorder")
        until(started, 40)
        valkey = hub.pid_of("valkey")
        os.kill(valkey, signal.SIGTERM)
        wait_for("valkey is started again", lambda: _other_pid(hub, valkey))

        until(started, 50)
        context = browser.new_context()
        page = context.new_page()
        sign_in(page, hub)
        notebook = NotebookPage(page, hub, project, "minute.ipynb").open()
        expect(notebook.cell("cell-0").locator(".out-stdout")).to_contain_text("line 450")
        lines = shown_lines(notebook)
        assert lines == EXPECTED.splitlines()[: len(lines)]

        until(started, 70)
        second = browser.new_context()
        other_page = second.new_page()
        sign_in(other_page, hub)
        other = NotebookPage(other_page, hub, project, "minute.ipynb").open()
        for shown in (notebook, other):
            shown.wait_until_done("cell-0", 1)
            assert shown_lines(shown) == EXPECTED.splitlines()
            assert shown.duration("cell-0").startswith("1 m")
        context.close()
        second.close()

        run = client.get(f"documents/{identity}/runs").raise_for_status().json()[0]
        assert run["state"] == "ok"
        assert run["execution_count"] == 1
        exported = wait_for("the file is complete", lambda: _complete_file(client, project))
        nbformat.validate(exported)
    # The exported file is a notebook like any other: run its (shortened) self with nbclient.
    assert exported.cells[0].source == PRINTING
    exported.cells[0].source = PRINTING.replace("0.1", "0")
    done = NotebookClient(exported, kernel_name="python3", timeout=60).execute()
    assert stream_text(done.cells[0]) == EXPECTED


def _other_pid(hub: LiveHub, pid: int) -> bool:
    try:
        return hub.pid_of("valkey") != pid
    except AssertionError:
        return False


def _complete_file(client: httpx.Client, project: dict[str, str]) -> nbformat.NotebookNode | None:
    raw = client.get(f"projects/{project['id']}/files/minute.ipynb").raise_for_status().text
    read = nbformat.reads(raw, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    return read if stream_text(read.cells[0]) == EXPECTED else None
