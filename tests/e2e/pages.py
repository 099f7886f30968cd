"""What a person does on the hub's pages, for the browser tests."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.live_hub import LiveHub

_AT_WORK = re.compile("running|waiting")


def make_project(client: httpx.Client, name: str) -> dict[str, str]:
    made: dict[str, str] = client.post("projects", json={"name": name}).raise_for_status().json()
    return made


def upload(client: httpx.Client, project: dict[str, str], path: str, content: bytes) -> None:
    client.put(f"projects/{project['id']}/files/{path}", content=content).raise_for_status()


def document_id(client: httpx.Client, project: dict[str, str], path: str) -> str:
    answer = client.post(f"projects/{project['id']}/documents", json={"path": path}).raise_for_status()
    return str(answer.json()["id"])


def add_member(client: httpx.Client, project: dict[str, str], username: str, role: str) -> None:
    client.post(
        f"projects/{project['id']}/members", json={"username": username, "role": role}
    ).raise_for_status()


def project_url(hub: LiveHub, project: dict[str, str], path: str = "") -> str:
    """Address of the project's page, of one of its files when `path` is given."""
    url = f"{hub.url}/p/{project['team']}/{project['slug']}"
    return f"{url}/f/{quote(path)}" if path else url


def file_row(page: Page, name: str) -> Locator:
    """The file's row in the open list of files."""
    return page.get_by_role("tree", name="Files").get_by_role("treeitem", name=name)


def live_sources(client: httpx.Client, document: str) -> dict[str, str]:
    """Cell id → source, as the hub has the live document now."""
    cells = client.get(f"documents/{document}/notebook").raise_for_status().json()["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


class NotebookPage:
    """An open notebook. Cells are found by their id; they are scrolled to before they are looked at."""

    def __init__(self, page: Page, hub: LiveHub, project: dict[str, str], path: str) -> None:
        self.page = page
        self._url = project_url(hub, project, path)

    def open(self) -> NotebookPage:
        self.page.goto(self._url)
        self.wait_until_open()
        return self

    def wait_until_open(self) -> None:
        expect(self.page.get_by_role("article").first).to_be_visible()

    def cell(self, cell_id: str) -> Locator:
        cell = self.page.locator(f'article[data-cell-id="{cell_id}"]')
        cell.scroll_into_view_if_needed()
        return cell

    def run_all(self) -> None:
        self.page.get_by_role("button", name="Run all", exact=True).click()

    def run(self, cell_id: str) -> None:
        """Shift-Enter in the cell."""
        self.select(cell_id)
        self.page.keyboard.press("Shift+Enter")

    def select(self, cell_id: str) -> None:
        self.cell(cell_id).locator(".ed").first.click()
        self.page.keyboard.press("Escape")

    def wait_until_done(self, cell_id: str, count: int, *, timeout_s: float = 60) -> None:
        """Until the prompt shows this count and the cell neither waits nor runs."""
        cell = self.cell(cell_id)
        # Where the pointer is the prompt gives way to a button; its text stays in the page.
        expect(cell.locator(".nb-prompt")).to_have_text(f"[{count}]", timeout=timeout_s * 1000)
        expect(cell).not_to_have_attribute("aria-label", _AT_WORK)

    def duration(self, cell_id: str) -> str:
        """How long the cell took, as it is shown."""
        return self.cell(cell_id).locator(".nb-result").inner_text()

    def type_into(self, cell_id: str, text: str) -> None:
        """At the end of the cell's source, key by key; leaves the editor."""
        self.cell(cell_id).locator(".ed").first.click()
        self.page.keyboard.press("ControlOrMeta+End")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Escape")

    def expect_source(self, cell_id: str, text: str) -> None:
        expect(self.cell(cell_id).locator(".ed").first).to_contain_text(text)

    def expect_saved(self) -> None:
        """The hub has every edit."""
        expect(
            self.page.get_by_role("contentinfo", name="Status").get_by_text("Saved", exact=True)
        ).to_be_visible()
