"""A notebook's past: kept, compared with, gone back to."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshots, sign_in
from tests.e2e.pages import NotebookPage, document_id, live_sources, make_project, upload
from tests.live_hub import LiveHub, wait_for
from tests.notebook_files import notebook_file


def test_a_named_version_is_compared_with_and_gone_back_to(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Versions")
        upload(
            client, project, "past.ipynb", notebook_file("rate = 0.1\nyears = 5", "print(rate)", "unused = 1")
        )
        document = document_id(client, project, "past.ipynb")
        sign_in(page, hub)
        notebook = NotebookPage(page, hub, project, "past.ipynb").open()
        first, _, third = live_sources(client, document)

        notebook.type_into(first, "\nprice = 100")
        page.keyboard.press("Control+s")  # at once: the last keys are part of it
        page.get_by_role("textbox", name="Name").fill("Before the review")
        page.get_by_role("button", name="Keep", exact=True).click()
        expect(page.get_by_text("Kept as “Before the review”.")).to_be_visible()

        notebook.type_into(first, "0  # new price")
        notebook.select(third)
        page.keyboard.press("d")
        page.keyboard.press("d")
        notebook.expect_saved()
        page.get_by_role("button", name="Versions", exact=True).click()
        panel = page.get_by_role("region", name="Versions")
        # As after an update of the hub: what this page would load on demand is not there any more.
        page.route("**/VersionDialog*", lambda route: route.fulfill(status=404))
        panel.get_by_role("button", name="Before the review").click()
        expect(page.get_by_text("A part of this page could not be loaded")).to_be_visible()
        page.unroute("**/VersionDialog*")
        page.get_by_role("button", name="Reload the page").click()
        notebook.wait_until_open()
        panel.get_by_role("button", name="Before the review").click()
        dialog = page.get_by_role("dialog", name="Before the review")
        expect(dialog.get_by_text("1 cell changed since, 1 deleted")).to_be_visible()
        expect(dialog.locator(".version-line-added")).to_contain_text("price = 1000  # new price")
        expect(dialog.get_by_text("1 cell unchanged")).to_be_visible()
        screenshots(page, "version")
        dialog.get_by_role("button", name="Go back to this version").click()
        expect(dialog).to_have_count(0)
        notebook.expect_source(third, "unused = 1")
        assert live_sources(client, document)[first] == "rate = 0.1\nyears = 5\nprice = 100"
        # What was there a moment ago is a version too, and nobody loses it.
        listed = client.get(f"documents/{document}/versions").raise_for_status().json()
        newest = client.get(f"documents/{document}/versions/{listed[0]['id']}/notebook").json()
        assert "new price" in "".join(newest["cells"][0]["source"])
        wait_for("both are in the list", lambda: panel.locator(".version-row").count() == len(listed))
        screenshots(page, "versions-panel")
