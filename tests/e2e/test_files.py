"""The list of files follows what happens elsewhere; nothing that is saved or deleted is lost."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.pages import NotebookPage, file_row, make_project, project_url, upload
from tests.live_hub import LiveHub, wait_for
from tests.notebook_files import notebook_file

WRITING = "open('table.csv', 'w').write('a,b\\n1,2\\n')\nimport os\nos.makedirs('results', exist_ok=True)"


def text_of(client: httpx.Client, project: dict[str, str], path: str) -> str:
    return client.get(f"projects/{project['id']}/files/{path}").raise_for_status().text


def names_of(client: httpx.Client, project: dict[str, str]) -> list[str]:
    folder = client.get(f"projects/{project['id']}/files/").raise_for_status().json()
    return [entry["name"] for entry in folder["entries"]]


def test_files_that_a_kernel_makes_appear_in_the_open_list(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Makers")
        upload(client, project, "maker.ipynb", notebook_file(WRITING, "import os\nos.remove('table.csv')"))
    sign_in(page, hub)
    notebook = NotebookPage(page, hub, project, "maker.ipynb").open()
    expect(file_row(page, "maker.ipynb")).to_be_visible()
    page.evaluate("window.isSamePage = true")
    notebook.run("cell-0")
    expect(file_row(page, "table.csv")).to_be_visible(timeout=30_000)
    expect(file_row(page, "results")).to_be_visible()
    screenshot(page, "file-of-a-kernel")
    notebook.run("cell-1")
    expect(file_row(page, "table.csv")).to_have_count(0)
    assert page.evaluate("window.isSamePage") is True


def test_a_stale_save_keeps_both_versions(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Stale")
        upload(client, project, "notes.txt", b"first line\n")
        sign_in(page, hub)
        page.goto(project_url(hub, project, "notes.txt"))
        editor = page.locator(".text-editor:visible .cm-content")
        editor.click()
        page.keyboard.press("ControlOrMeta+End")
        page.keyboard.type("mine")
        upload(client, project, "notes.txt", b"theirs\n")
        page.keyboard.press("ControlOrMeta+s")

        dialog = page.get_by_role("dialog", name="notes.txt was changed elsewhere")
        expect(dialog).to_be_visible()
        screenshot(page, "stale-save")
        [kept] = [name for name in names_of(client, project) if "not saved" in name]
        expect(dialog).to_contain_text(kept)
        assert text_of(client, project, "notes.txt") == "theirs\n"
        assert text_of(client, project, kept) == "first line\nmine"

        dialog.get_by_role("button", name="Open both").click()
        expect(page.get_by_role("tab", name=re.compile("not saved"))).to_be_visible()
        expect(editor).to_contain_text("mine")
        page.get_by_role("tab", name="notes.txt", exact=True).click()
        expect(editor).to_have_text("theirs")
        # From here on a save is an ordinary one again.
        editor.click()
        page.keyboard.press("ControlOrMeta+End")
        page.keyboard.type("and mine")
        page.keyboard.press("ControlOrMeta+s")
        wait_for("it is saved", lambda: text_of(client, project, "notes.txt") == "theirs\nand mine")
        expect(dialog).to_have_count(0)


def test_an_open_text_follows_the_file_while_nothing_was_typed(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Followers")
        upload(client, project, "log.txt", b"one\n")
        sign_in(page, hub)
        page.goto(project_url(hub, project, "log.txt"))
        editor = page.locator(".text-editor .cm-content")
        expect(editor).to_contain_text("one")
        upload(client, project, "log.txt", b"one\ntwo\n")
        expect(editor).to_contain_text("two")


def test_what_is_deleted_comes_back_by_undo_or_from_the_trash(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Trash")
        upload(client, project, "kept.txt", b"precious\n")
        upload(client, project, "book.ipynb", notebook_file("a = 1"))
        sign_in(page, hub)
        notebook = NotebookPage(page, hub, project, "book.ipynb").open()
        notebook.type_into("cell-0", "\n# last words")
        notebook.expect_saved()

        # By key, and back by the notice.
        file_row(page, "kept.txt").click(button="right")
        page.keyboard.press("Escape")
        file_row(page, "kept.txt").press("Delete")
        expect(file_row(page, "kept.txt")).to_have_count(0)
        assert "kept.txt" not in names_of(client, project)
        notices = page.get_by_role("region", name="Notices")
        notices.get_by_role("button", name="Undo").click()
        expect(file_row(page, "kept.txt")).to_be_visible()
        assert text_of(client, project, "kept.txt") == "precious\n"

        # An open notebook, by menu, and back from the trash, with the edits that were not in its file yet.
        file_row(page, "book.ipynb").click(button="right")
        page.get_by_role("menuitem", name="Move to trash").click()
        expect(file_row(page, "book.ipynb")).to_have_count(0)
        expect(page.get_by_role("tab", name="book.ipynb")).to_have_count(0)
        page.get_by_role("button", name="Trash", exact=True).or_(
            page.get_by_role("tab", name="Trash", exact=True)
        ).click()
        screenshot(page, "trash")
        page.get_by_role("button", name="Put book.ipynb back").click()
        wait_for("it is back", lambda: "book.ipynb" in names_of(client, project))
        NotebookPage(page, hub, project, "book.ipynb").open().expect_source("cell-0", "# last words")


def test_each_new_account_has_a_project_to_start_with(page: Page, hub: LiveHub) -> None:
    hub.add_person("newcomer")
    sign_in(page, hub, "newcomer")
    page.get_by_role("link", name="First steps").first.click()
    for name in ("Diabetes study.ipynb", "README.md", "Welcome.ipynb"):
        expect(file_row(page, name)).to_be_visible()
    file_row(page, "Welcome.ipynb").click()
    expect(page.get_by_role("article").first).to_be_visible()
    code = page.locator('article[data-cell-type="code"]').first
    code.scroll_into_view_if_needed()
    page.get_by_role("button", name="Run all", exact=True).click()
    expect(code.locator(".nb-outputs")).to_be_visible(timeout=40_000)
    screenshot(page, "welcome")
