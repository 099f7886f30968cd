"""A kernel waits for a place, says how far it is, and starts by itself."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.pages import NotebookPage, make_project, upload
from tests.live_hub import LiveHub
from tests.notebook_files import notebook_file


def test_a_kernel_waits_for_its_place_and_starts_by_itself(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Places")
        upload(client, project, "waits.ipynb", notebook_file("print('my turn')"))
        sign_in(page, hub)
        notebook = NotebookPage(page, hub, project, "waits.ipynb").open()
        client.post("admin/nodes/local/drain").raise_for_status()
        try:
            notebook.run_all()
            waiting = page.get_by_role("status").filter(has_text="All places for kernels are taken")
            expect(waiting).to_contain_text("Yours is 1st in the queue")
            expect(page.get_by_role("button", name="Leave the queue")).to_be_visible()
            expect(notebook.cell("cell-0")).to_contain_text("Queued")
            screenshot(page, "kernel-waits")
            page.reload()  # who comes later is told too
            notebook.wait_until_open()
            expect(waiting).to_be_visible()
        finally:
            client.post("admin/nodes/local/undrain").raise_for_status()
        expect(notebook.cell("cell-0").locator(".out-stdout")).to_have_text("my turn", timeout=40_000)
        expect(waiting).to_have_count(0)
