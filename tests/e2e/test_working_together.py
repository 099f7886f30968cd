"""Two people in one notebook, and one who may only look."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import VIEWPORTS, screenshot, sign_in
from tests.e2e.pages import (
    NotebookPage,
    add_member,
    document_id,
    file_row,
    live_sources,
    make_project,
    project_url,
    upload,
)
from tests.live_hub import LiveHub, wait_for
from tests.notebook_files import notebook_file

OpenPage = Callable[[str], Page]


@pytest.fixture(scope="module")
def people(hub: LiveHub) -> None:
    """bob edits, carol views; `admin` owns the projects."""
    for name in ("bob", "carol"):
        hub.add_person(name)


@pytest.fixture
def page_of(browser: Browser, hub: LiveHub, people: None) -> Iterator[OpenPage]:
    """A signed-in browser of a person's own."""
    contexts = []

    def open_page(username: str) -> Page:
        width, height = VIEWPORTS["wide"]
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        sign_in(page, hub, username)
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_two_people_edit_and_run_one_notebook(page: Page, hub: LiveHub, page_of: OpenPage) -> None:
    with hub.client() as client:
        project = make_project(client, "Together")
        add_member(client, project, "bob", "editor")
        upload(client, project, "ours.ipynb", notebook_file("total = 0", "print('done')", "extra = 1"))
        document = document_id(client, project, "ours.ipynb")
        sign_in(page, hub)
        mine = NotebookPage(page, hub, project, "ours.ipynb").open()
        his = NotebookPage(page_of("bob"), hub, project, "ours.ipynb").open()
        # Each sees that the other is here.
        for one, name in ((mine, "bob"), (his, "admin")):
            expect(one.page.get_by_role("img", name=f"Also here: {name}")).to_be_visible()

        # Both type into one cell, at once; neither loses a letter.
        mine.cell("cell-0").locator(".ed").first.click()
        his.cell("cell-0").locator(".ed").first.click()
        mine.page.keyboard.press("ControlOrMeta+End")
        his.page.keyboard.press("ControlOrMeta+Home")
        for letter in "# from bob\n":
            his.page.keyboard.type(letter)
            mine.page.keyboard.type("+1")
        both = wait_for(
            "both texts are whole",
            lambda: (
                (text := live_sources(client, document)["cell-0"]).endswith("+1" * 11)
                and "# from bob" in text
                and text
            ),
        )
        assert both == "# from bob\ntotal = 0" + "+1" * 11
        for one in (mine, his):
            one.expect_source("cell-0", "# from bob")
            one.expect_source("cell-0", "+1" * 11)

        # Undo takes back what one did oneself, never the other's.
        mine.page.keyboard.press("ControlOrMeta+z")
        mine.expect_source("cell-0", "# from bob")
        wait_for(
            "my typing is undone", lambda: not live_sources(client, document)["cell-0"].endswith("+1" * 11)
        )
        assert live_sources(client, document)["cell-0"].startswith("# from bob\n")

        # One deletes a cell, the other sees it go, and come back with undo.
        his.select("cell-2")
        his.page.keyboard.press("d")
        his.page.keyboard.press("d")
        expect(mine.page.get_by_role("article")).to_have_count(2)
        his.page.get_by_role("region", name="Notices").get_by_role("button", name="Undo").click()
        expect(mine.page.get_by_role("article")).to_have_count(3)
        mine.expect_source("cell-2", "extra = 1")

        # A run of one is seen by both.
        his.run("cell-1")
        for one in (mine, his):
            one.wait_until_done("cell-1", 1)
            expect(one.cell("cell-1").locator(".out-stdout")).to_have_text("done")
        screenshot(page, "two-people")


def test_a_viewer_sees_everything_and_changes_nothing(page: Page, hub: LiveHub, page_of: OpenPage) -> None:
    with hub.client() as client:
        project = make_project(client, "Glass case")
        add_member(client, project, "carol", "viewer")
        upload(
            client, project, "shown.ipynb", notebook_file("import time\ntime.sleep(1)\nprint('seen')", "2")
        )
        upload(client, project, "note.txt", b"read me\n")
        document = document_id(client, project, "shown.ipynb")
        carol = page_of("carol")
        hers = NotebookPage(carol, hub, project, "shown.ipynb").open()
        expect(carol.get_by_text("You can look at this notebook, not change it")).to_be_visible()

        # What others type and run comes in by itself.
        sign_in(page, hub)
        mine = NotebookPage(page, hub, project, "shown.ipynb").open()
        mine.type_into("cell-1", " + 2")
        hers.expect_source("cell-1", "2 + 2")
        mine.run("cell-0")
        expect(hers.cell("cell-0").locator(".out-stdout")).to_have_text("seen", timeout=30_000)

        # Neither keys nor buttons change anything.
        hers.cell("cell-1").locator(".ed").first.click()
        carol.keyboard.type("zzz")
        carol.keyboard.press("Escape")
        for key in ("d", "d", "b", "m", "x", "Shift+Enter"):
            carol.keyboard.press(key)
        expect(carol.get_by_role("article")).to_have_count(2)
        expect(carol.get_by_role("button", name="Run all", exact=True)).to_have_count(0)
        assert live_sources(client, document)["cell-1"] == "2 + 2"
        assert len(client.get(f"documents/{document}/runs").raise_for_status().json()) == 1

        # Files too: to look at and to download only.
        file_row(carol, "note.txt").click(button="right")
        menu = carol.get_by_role("menu")
        expect(menu.get_by_role("menuitem", name="Download")).to_be_visible()
        for name in ("Rename", "Move to trash", "Duplicate"):
            expect(menu.get_by_role("menuitem", name=name)).to_have_count(0)
        carol.keyboard.press("Escape")
        carol.goto(project_url(hub, project, "note.txt"))
        editor = carol.locator(".text-editor .cm-content")
        expect(editor).to_contain_text("read me")
        editor.click()
        carol.keyboard.type("zzz")
        expect(editor).not_to_contain_text("zzz")
        screenshot(carol, "viewer")


def test_who_loses_access_is_told_and_loses_nothing_typed(hub: LiveHub, page_of: OpenPage) -> None:
    with hub.client() as client:
        project = make_project(client, "Revoked")
        add_member(client, project, "bob", "editor")
        upload(client, project, "was-shared.ipynb", notebook_file("a = 1"))
        document = document_id(client, project, "was-shared.ipynb")
        bob = page_of("bob")
        his = NotebookPage(bob, hub, project, "was-shared.ipynb").open()
        his.type_into("cell-0", "\n# while I could")
        wait_for("the hub has it", lambda: "# while I could" in live_sources(client, document)["cell-0"])
        client.delete(f"projects/{project['id']}/members", params={"username": "bob"}).raise_for_status()
        told = bob.get_by_role("alert").filter(has_text="You have no access to Revoked any more")
        expect(told).to_be_visible(timeout=15_000)
        expect(bob.get_by_role("link", name="Revoked")).to_have_count(0)
        assert "# while I could" in live_sources(client, document)["cell-0"]
        bob.goto(project_url(hub, project))
        expect(bob.get_by_role("heading", name="There is nothing here")).to_be_visible()
        expect(bob.get_by_role("tree", name="Files")).to_have_count(0)
