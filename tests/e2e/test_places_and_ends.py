"""A kernel waits for a place and starts by itself; one that nobody uses is announced to end, and kept."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.pages import NotebookPage, make_project, upload
from tests.live_hub import LiveHub
from tests.notebook_files import notebook_file

IDLER = "idris"
UNUSED_FOR_AN_HOUR = """
from datetime import timedelta
from django.utils import timezone
from kernels_app.models import Kernel
ago = timezone.now() - timedelta(hours=1)
Kernel.objects.filter(user__username="idris").update(last_activity_at=ago, ready_at=ago)
"""


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


def test_a_kernel_that_nobody_uses_is_announced_to_end_and_kept(page: Page, hub: LiveHub) -> None:
    hub.add_person(IDLER)
    with hub.client() as admin, hub.client(IDLER) as client:
        # The least there is: the end is announced half a minute ahead.
        shortest = {"values": {"idle_timeout_s": 60}}
        project = make_project(client, "Ends")
        upload(client, project, "unused.ipynb", notebook_file("print('used')"))
        sign_in(page, hub, IDLER)
        notebook = NotebookPage(page, hub, project, "unused.ipynb").open()
        notebook.run_all()
        expect(notebook.cell("cell-0").locator(".out-stdout")).to_have_text("used", timeout=40_000)
        notebook.wait_until_done("cell-0", 1)
        hub.shell(UNUSED_FOR_AN_HOUR)
        admin.put(f"admin/people/{IDLER}/quotas", json=shortest).raise_for_status()
        ending = page.get_by_role("status").filter(has_text="This kernel stops at")
        expect(ending).to_contain_text("because nobody has used it since", timeout=60_000)
        ending.get_by_role("button", name="Keep it").click()
        expect(ending).to_have_count(0)
        [kernel] = client.get("kernels").json()
        assert (kernel["state"], kernel["ends_at"]) == ("idle", None)
