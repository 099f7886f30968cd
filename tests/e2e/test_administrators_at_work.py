"""What administrators do while somebody works: that person is told at once, in the page they have open."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import browser_of, screenshot, sign_in
from tests.e2e.pages import NotebookPage, make_project, upload
from tests.live_hub import LiveHub
from tests.notebook_files import notebook_file

PERSON = "ursula"
SLOW_MS = 60_000  # a busy machine; a passing test waits no longer for it


@pytest.fixture
def persons_page(browser: Browser, hub: LiveHub) -> Iterator[Page]:
    with browser_of(browser, hub, PERSON) as page:
        yield page


@pytest.mark.timeout(300)
def test_who_works_is_told_of_announcements_of_who_acts_for_them_and_of_a_drain(
    page: Page, persons_page: Page, hub: LiveHub
) -> None:
    with hub.client() as admin, hub.client(PERSON) as person:
        limit = {"values": {"kernel_memory_bytes": 1 << 30}}
        admin.put(f"admin/people/{PERSON}/quotas", json=limit).raise_for_status()
        project = make_project(person, f"At work {uuid.uuid4().hex[:4]}")  # a new one for each try
        upload(person, project, "work.ipynb", notebook_file("print('working')"))
        notebook = NotebookPage(persons_page, hub, project, "work.ipynb").open()
        notebook.run_all()
        expect(notebook.cell("cell-0").locator(".out-stdout")).to_have_text("working", timeout=SLOW_MS)

        # What the kernel uses of what it may, in the status bar.
        memory = persons_page.get_by_role("img", name=re.compile(r"Memory of the kernel: .* of 1 GiB"))
        expect(memory).to_contain_text("MiB of 1 GiB", timeout=SLOW_MS)
        expect(persons_page.get_by_role("img", name=re.compile("Processor of the kernel"))).to_be_visible()
        screenshot(persons_page, "status-bar-with-memory")

        # An announcement.
        sign_in(page, hub)
        page.goto(f"{hub.url}/admin/announcements")
        page.get_by_role("button", name="New announcement").first.click()
        page.get_by_role("dialog").get_by_label("Text").fill("Backups run at 18:00.")
        page.get_by_role("dialog").get_by_role("button", name="Announce").click()
        told = persons_page.get_by_role("region", name="Announcements")
        expect(told).to_contain_text("Backups run at 18:00.", timeout=SLOW_MS)
        [announcement] = [
            one
            for one in admin.get("announcements").raise_for_status().json()
            if one["text"].startswith("Backups run")
        ]
        admin.post(f"admin/announcements/{announcement['id']}/end").raise_for_status()
        expect(told).not_to_contain_text("Backups run", timeout=SLOW_MS)

        # Somebody acts as them: both see it, until it ends.
        page.goto(f"{hub.url}/admin/people/{PERSON}")
        page.get_by_role("button", name="Act as…").click()
        dialog = page.get_by_role("dialog", name=f"Act as {PERSON}?")
        dialog.get_by_label("Why").fill("looking at a notebook")
        dialog.get_by_role("button", name=f"Act as {PERSON}").click()
        acting = page.get_by_role("status").filter(has_text=f"you act as {PERSON}")
        expect(acting).to_be_visible()
        watched = persons_page.get_by_role("status").filter(has_text="acts in your name")
        expect(watched).to_contain_text("The administrator admin acts in your name", timeout=SLOW_MS)
        screenshot(persons_page, "somebody-acts-in-my-name")
        page.goto(f"{hub.url}/admin/people")
        expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
        expect(acting).to_be_visible()
        acting.get_by_role("button", name="Stop acting").click()
        expect(page.get_by_role("heading", name="People", level=1)).to_be_visible()
        expect(acting).to_have_count(0)
        expect(watched).to_have_count(0, timeout=SLOW_MS)

        # The node is drained: until when, the panel says; shortly before, the notebook does.
        page.goto(f"{hub.url}/admin/nodes")
        nodes = page.get_by_role("table", name="Nodes")
        expect(nodes).to_contain_text(re.compile(r"of \d[\d.]* GiB"))
        expect(nodes).to_contain_text(re.compile(r"of \d+ cores?"))
        screenshot(page, "a-real-node")
        nodes.get_by_role("button", name=re.compile("local")).click()
        page.get_by_role("menuitem", name="Drain…").click()
        dialog = page.get_by_role("dialog", name="Drain local?")
        dialog.get_by_label("What runs there ends").select_option("In 15 minutes")
        try:
            dialog.get_by_role("button", name="Drain").click()
            expect(nodes).to_contain_text("Draining")
            expect(nodes.get_by_text(re.compile(r"until \d\d:\d\d"))).to_be_visible()
            screenshot(page, "drain-with-deadline")
            until = datetime.now(UTC) + timedelta(minutes=4)
            admin.post("admin/nodes/local/drain", json={"until": until.isoformat()}).raise_for_status()
            ending = persons_page.get_by_role("status").filter(has_text="This kernel stops at")
            expect(ending).to_contain_text("its host is being taken out of service", timeout=SLOW_MS)
            expect(ending.get_by_role("button", name="Keep it")).to_have_count(0)
            screenshot(persons_page, "kernel-ends-with-its-node")
            nodes.get_by_role("button", name=re.compile("local")).click()
            page.get_by_role("menuitem", name="Take kernels again").click()
            expect(ending).to_have_count(0, timeout=SLOW_MS)
        finally:
            admin.post("admin/nodes/local/undrain").raise_for_status()
