"""What a person sees when a kernel dies, a notebook cannot be opened or a kernel is not there: words and a way out."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.pages import NotebookPage, make_project, project_url, upload
from tests.live_hub import LiveHub
from tests.notebook_files import notebook_file


def test_a_dead_kernel_says_why_and_how_to_go_on(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Deaths")
        dying = "import os, time\nprint('alive', flush=True)\ntime.sleep(0.3)\nos._exit(7)"
        upload(client, project, "dies.ipynb", notebook_file("x = 1\nprint('kept')", dying, "print('behind')"))
    sign_in(page, hub)
    notebook = NotebookPage(page, hub, project, "dies.ipynb").open()
    notebook.run_all()
    banner = page.get_by_role("alert").filter(has_text="exit code 7")
    expect(banner).to_be_visible(timeout=40_000)
    expect(banner).to_contain_text("variables are lost; cells and outputs are all here")
    expect(banner).not_to_contain_text("/")  # no folder of the server
    screenshot(page, "kernel-died")
    # What was there is there; what did not run says so.
    expect(notebook.cell("cell-0").locator(".out-stdout")).to_have_text("kept")
    expect(notebook.cell("cell-1").locator(".out-stdout")).to_have_text("alive")
    expect(notebook.cell("cell-1")).to_have_attribute("aria-label", re.compile("kernel died"))
    expect(notebook.cell("cell-2")).to_have_attribute("aria-label", re.compile("not run, the kernel ended"))
    # The way on: a new kernel, and the cells that need no dead one.
    banner.get_by_role("button", name="Start again").click()
    expect(banner).to_have_count(0, timeout=30_000)
    notebook.run("cell-2")
    expect(notebook.cell("cell-2").locator(".out-stdout")).to_have_text("behind", timeout=30_000)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.ipynb", b"hello", "This file is not a notebook: it is not valid JSON"),
        ("other.ipynb", b'{"a": 1}', "This file is not a notebook"),
        (
            "old.ipynb",
            b'{"nbformat": 3, "nbformat_minor": 0, "worksheets": [], "metadata": {}}',
            "old format 3",
        ),
        ("huge.ipynb", notebook_file("x" * 60_000_000), "larger than the 50 MB"),
    ],
    ids=["no-json", "no-nbformat", "v3", "huge"],
)
def test_a_notebook_that_cannot_be_opened_says_why(
    page: Page, hub: LiveHub, name: str, content: bytes, words: str
) -> None:
    with hub.client() as client:
        project = make_project(client, "Broken")
        upload(client, project, name, content)
        sign_in(page, hub)
        page.goto(project_url(hub, project, name))
        problem = page.get_by_role("alert").filter(has_text=words)
        expect(problem).to_be_visible()
        screenshot(page, f"cannot-open-{name.removesuffix('.ipynb')}")
        # Mended elsewhere, it opens without a reload of the page.
        upload(client, project, name, notebook_file("mended = True"))
        problem.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("article")).to_contain_text("mended")


def test_a_missing_kernel_is_named_and_another_can_be_chosen(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Kernels")
        upload(client, project, "f.ipynb", notebook_file("print('in Python')", kernelspec_name="fortran"))
    sign_in(page, hub)
    notebook = NotebookPage(page, hub, project, "f.ipynb").open()
    notebook.run("cell-0")
    told = page.get_by_role("alert").filter(has_text="fortran")
    expect(told).to_be_visible()
    expect(told).to_contain_text("python3")
    screenshot(page, "missing-kernel")
    expect(notebook.cell("cell-0")).not_to_have_attribute("aria-label", re.compile("waiting|running"))
    page.get_by_role("toolbar", name="Notebook").get_by_role("button", name=re.compile("^fortran")).click()
    page.get_by_role("menuitemcheckbox", name=re.compile("Python 3")).or_(
        page.get_by_role("menuitem", name=re.compile("Python 3"))
    ).or_(page.get_by_role("menuitemradio", name=re.compile("Python 3"))).first.click()
    notebook.run("cell-0")
    expect(notebook.cell("cell-0").locator(".out-stdout")).to_have_text("in Python", timeout=30_000)


def test_an_address_that_leads_nowhere_says_so(page: Page, hub: LiveHub) -> None:
    """Unknown and foreign projects look alike."""
    hub.add_person("stranger")
    with hub.client() as client:
        make_project(client, "Private matters")
    sign_in(page, hub, "stranger")
    for address in ("p/admin/private-matters", "p/admin/never-was", "p/nobody/x/f/a.txt", "nothing"):
        page.goto(f"{hub.url}/{address}")
        expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
