"""Edits made while the hub cannot be reached arrive on return; those of another history stay beside it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.network import Cable, cable
from tests.e2e.pages import NotebookPage, document_id, live_sources, make_project, project_url, upload
from tests.live_hub import LiveHub, wait_for
from tests.notebook_files import notebook_file

NEW_EPOCH = """
from notebooks_app.models import Document
Document.objects.filter(pk="{document}").update(epoch="another")
"""


@pytest.fixture
def wire(hub: LiveHub) -> Iterator[Cable]:
    with cable(hub.port) as made:
        yield made


@pytest.fixture
def far_hub(hub: LiveHub, wire: Cable) -> LiveHub:
    """The same hub, as a browser sees it at the other end of the cable."""
    far = copy.copy(hub)
    far.url = wire.url
    return far


def kept_here(page: Page) -> Locator:
    return page.get_by_role("contentinfo", name="Status").get_by_text("Kept here")


def test_edits_made_offline_arrive_on_return(page: Page, hub: LiveHub, far_hub: LiveHub, wire: Cable) -> None:
    with hub.client() as client:
        project = make_project(client, "Train")
        upload(client, project, "train.ipynb", notebook_file("a = 1", "b = 2"))
        document = document_id(client, project, "train.ipynb")
        sign_in(page, far_hub)
        notebook = NotebookPage(page, far_hub, project, "train.ipynb").open()
        notebook.type_into("cell-0", "\n# at home")
        wait_for("the hub has it", lambda: "# at home" in live_sources(client, document)["cell-0"])

        wire.pull()
        notebook.type_into("cell-0", "\n# in the train")
        notebook.select("cell-1")
        page.keyboard.press("b")
        expect(page.get_by_role("article")).to_have_count(3)
        expect(kept_here(page)).to_be_visible(timeout=20_000)
        screenshot(page, "offline")
        assert "# in the train" not in live_sources(client, document)["cell-0"]
        # Meanwhile a kernel or another program writes the file: both changes are wanted.
        upload(client, project, "train.ipynb", notebook_file("a = 1\n# at home", "b = 3"))

        wire.plug_in()
        sources = wait_for("all is sent", lambda: _with(live_sources(client, document), "# in the train", 3))
        assert sources["cell-0"] == "a = 1\n# at home\n# in the train"
        document_id(client, project, "train.ipynb")  # opening looks at the file
        notebook.expect_source("cell-1", "b = 3")
        notebook.expect_saved()


def _with(sources: dict[str, str], text: str, count: int) -> dict[str, str] | None:
    return sources if text in sources["cell-0"] and len(sources) == count else None


def test_the_page_says_at_once_that_the_browser_is_offline(
    page: Page, context: BrowserContext, hub: LiveHub
) -> None:
    with hub.client() as client:
        project = make_project(client, "Aeroplane")
        upload(client, project, "mode.ipynb", notebook_file("a = 1"))
    sign_in(page, hub)
    notebook = NotebookPage(page, hub, project, "mode.ipynb").open()
    notebook.expect_saved()
    context.set_offline(True)
    expect(page.get_by_text("The hub does not answer")).to_be_visible()
    notebook.type_into("cell-0", "\n# high")
    expect(kept_here(page)).to_be_visible()
    context.set_offline(False)
    expect(page.get_by_text("The hub does not answer")).to_have_count(0, timeout=15_000)
    notebook.expect_saved()


def test_edits_made_offline_outlive_the_page(
    page: Page, context: BrowserContext, hub: LiveHub, far_hub: LiveHub, wire: Cable
) -> None:
    """The page is closed before the hub is back."""
    with hub.client() as client:
        project = make_project(client, "Tunnel")
        upload(client, project, "tunnel.ipynb", notebook_file("a = 1"))
        document = document_id(client, project, "tunnel.ipynb")
        sign_in(page, far_hub)
        notebook = NotebookPage(page, far_hub, project, "tunnel.ipynb").open()
        notebook.expect_saved()
        wire.pull()
        notebook.type_into("cell-0", "\n# kept here")
        expect(kept_here(page)).to_be_visible(timeout=20_000)
        page.close()
        wire.plug_in()
        assert live_sources(client, document)["cell-0"] == "a = 1"

        page = context.new_page()
        NotebookPage(page, far_hub, project, "tunnel.ipynb").open().expect_source("cell-0", "# kept here")
        wait_for("it is sent", lambda: "# kept here" in live_sources(client, document)["cell-0"])


def test_edits_of_another_history_are_kept_as_a_draft(
    page: Page, hub: LiveHub, far_hub: LiveHub, wire: Cable
) -> None:
    """The hub was set back to a backup, say: edits of the old history are never mixed into the new one."""
    with hub.client() as client:
        project = make_project(client, "Drafts")
        upload(client, project, "draft.ipynb", notebook_file("a = 1"))
        document = document_id(client, project, "draft.ipynb")
        sign_in(page, far_hub)
        notebook = NotebookPage(page, far_hub, project, "draft.ipynb").open()
        notebook.expect_saved()
        wire.pull()
        notebook.type_into("cell-0", "\n# never sent")
        expect(kept_here(page)).to_be_visible(timeout=20_000)
        hub.shell(NEW_EPOCH.format(document=document))
        wire.plug_in()

        banner = page.get_by_role("status").filter(has_text="that were never sent")
        expect(banner).to_be_visible(timeout=30_000)
        screenshot(page, "draft")
        assert live_sources(client, document)["cell-0"] == "a = 1"
        expect(notebook.cell("cell-0")).not_to_contain_text("# never sent")
        banner.get_by_role("button", name="Keep beside this one").click()
        expect(page.get_by_text(re.compile(r"Kept as draft \(recovered"))).to_be_visible()
        folder = client.get(f"projects/{project['id']}/files/").raise_for_status().json()
        [kept] = [entry["name"] for entry in folder["entries"] if "recovered" in entry["name"]]
        page.goto(project_url(far_hub, project, kept))
        expect(page.get_by_role("article").first).to_contain_text("# never sent")
