"""JupyterLab itself, from a stock `jupyter lab` whose gateway is the hub: a slider moves a value in the kernel."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot
from tests.jupyter_clients.project_server import JupyterLab, ProjectServer
from tests.live_hub import LiveHub, wait_for

CELLS = [
    "import ipywidgets\n"
    "slider = ipywidgets.IntSlider(value=3, min=0, max=10, description='Speed')\n"
    "heard = []\n"
    "slider.observe(lambda change: heard.append(change['new']), 'value')\n"
    "slider",
    "print('now', slider.value, 'heard', heard)",
    "slider.value = 9\nprint('set')",
]


def test_a_slider_in_jupyterlab_moves_the_value_in_the_kernel_and_back(
    hub: LiveHub, page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"cell_type": "code", "id": f"c{number}", "source": source, "metadata": {}, "outputs": [],
             "execution_count": None}
            for number, source in enumerate(CELLS)
        ],
    }  # fmt: skip
    (folder / "speed.ipynb").write_text(json.dumps(notebook))
    with ProjectServer.of_new_project(hub) as server:
        lab = JupyterLab(folder, server.url, server.token)
        with lab.running():
            page.set_default_timeout(40_000)
            page.goto(f"{lab.url}lab/tree/speed.ipynb?token={lab.token}")
            cells = page.locator(".jp-Notebook .jp-CodeCell")
            expect(cells).to_have_count(3, timeout=40_000)
            # JupyterLab passes over what is run before its session has a kernel.
            expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=40_000)
            cells.nth(0).locator(".cm-content").click()
            page.keyboard.press("Shift+Enter")
            handle = cells.nth(0).locator(".noUi-handle")
            shown = cells.nth(0).locator(".widget-readout")
            expect(handle).to_be_visible(timeout=40_000)  # the widgets code is loaded with the first one
            handle.focus()
            for value in (4, 5):
                page.keyboard.press("ArrowRight")
                expect(shown).to_have_text(str(value), timeout=20_000)
            told = cells.nth(1).locator(".jp-OutputArea-output")

            def kernel_has_both() -> bool:
                """The widgets send a change when the one before is done, which may be after a cell that is run now."""
                cells.nth(1).locator(".cm-content").click()
                page.keyboard.press("Shift+Enter")
                expect(told).to_have_text(re.compile(r"now \d heard \[.*\]"), timeout=20_000)
                expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=20_000)
                return told.inner_text().strip() == "now 5 heard [4, 5]"

            wait_for("the kernel has both values", kernel_has_both, timeout_s=40)
            cells.nth(2).locator(".cm-content").click()
            page.keyboard.press("Shift+Enter")
            expect(shown).to_have_text("9", timeout=20_000)
            screenshot(page, "jupyterlab-slider")
            [kernel] = server.http.get("api/kernels").json()
            assert kernel["connections"] >= 1, "it ran in the project"
            server.http.delete(f"api/kernels/{kernel['id']}")
