"""Keys that come right behind each other all arrive: nothing that is typed is lost."""

from __future__ import annotations

import json

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import sign_in
from tests.e2e.pages import NotebookPage, make_project, upload
from tests.live_hub import LiveHub

CELLS = 40
TYPED = "abcdefghij"


@pytest.fixture
def notebook(page: Page, hub: LiveHub, administration: httpx.Client) -> NotebookPage:
    """Open, with the last cell chosen, in command mode."""
    project = make_project(administration, "Fast fingers")
    cells: list[dict[str, object]] = [
        {
            "cell_type": kind,
            "id": f"cell-{n}",
            "metadata": {},
            "source": f"# cell {n}\n",
            **({"outputs": [], "execution_count": None} if kind == "code" else {}),
        }
        for n in range(CELLS)
        for kind in ["markdown" if n % 4 == 3 else "code"]
    ]
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    upload(administration, project, "fast.ipynb", json.dumps(content).encode())
    sign_in(page, hub)
    notebook = NotebookPage(page, hub, project, "fast.ipynb").open()
    notebook.select("cell-0")
    return notebook


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["Enter"], id="edit"),
        pytest.param(["j", "j", "j", "Enter"], id="edit-text"),
        pytest.param(["b", "Enter"], id="insert-below-and-edit"),
        pytest.param(["a", "Enter"], id="insert-above-and-edit"),
        pytest.param(["b", "m", "Enter"], id="insert-text-and-edit"),
        pytest.param(["Alt+Enter"], id="run-and-insert"),
        pytest.param(["ControlOrMeta+End", "j", "Shift+Enter", "Enter"], id="run-the-last"),
        pytest.param(["d", "d", "Enter"], id="delete-and-edit-the-next"),
        pytest.param(["Enter", "Escape", "j", "Enter"], id="leave-and-edit-the-next"),
    ],
)
def test_what_is_typed_right_behind_a_command_is_in_the_cell(notebook: NotebookPage, keys: list[str]) -> None:
    page = notebook.page
    for key in keys:
        page.keyboard.press(key)
    page.keyboard.type(TYPED)
    expect(page.locator(".nb-cell.is-active .cm-content")).to_contain_text(TYPED)
