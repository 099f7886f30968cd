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


class NotebookPage:
    """An open notebook. Cells are found by their id; they are scrolled to before they are looked at."""

    def __init__(self, page: Page, hub: LiveHub, project: dict[str, str], path: str) -> None:
        self.page = page
        self._url = f"{hub.url}/p/{project['team']}/{project['slug']}/f/{quote(path)}"

    def open(self) -> NotebookPage:
        self.page.goto(self._url)
        expect(self.page.get_by_role("article").first).to_be_visible()
        return self

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

    def wait_until_done(self, cell_id: str, count: int | None = None, *, timeout_s: float = 60) -> None:
        """Until the prompt shows a count and the cell neither waits nor runs."""
        label = f"[{count}]" if count is not None else "["
        cell = self.cell(cell_id)
        expect(cell).not_to_have_attribute("aria-label", _AT_WORK, timeout=timeout_s * 1000)
        expect(cell.get_by_text(label).first).to_be_visible(timeout=timeout_s * 1000)
