"""Every page without a serious finding of axe, in both themes; all of it by keyboard, and no key is trapped."""

from __future__ import annotations

import time
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import sign_in
from tests.e2e.pages import NotebookPage, make_project, project_url, upload
from tests.live_hub import LiveHub
from tests.notebook_files import notebook_file

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SETTLED_S = 10
MOST_TABS = 120  # far more than any page has stops

EVERY_OUTPUT = (
    "import sys\n"
    "from IPython.display import HTML, Markdown, display\n"
    "print('\\x1b[31mred\\x1b[0m \\x1b[32mgreen\\x1b[0m plain')\n"
    "print('a warning', file=sys.stderr)\n"
    "display(Markdown('**bold** $x^2$'))\n"
    "display(HTML('<table class=\"dataframe\"><tr><th>a</th></tr><tr><td>1</td></tr></table>'))\n"
    "import matplotlib.pyplot as plt\n"
    "plt.plot([1, 2]); plt.show()\n"
)


def findings(page: Page) -> list[dict[str, Any]]:
    """What axe calls serious or critical on the page as it is."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        {"rule": one["id"], "nodes": [(node["target"], node["failureSummary"]) for node in one["nodes"][:5]]}
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def check(page: Page, name: str) -> None:
    for theme in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        # Colours that were on their way are there.
        page.evaluate(
            """async () => {
                await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                await Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)));
            }"""
        )
        # A theme that changes takes some frames to reach every part of the page; a fault stays.
        deadline = time.monotonic() + SETTLED_S
        while (found := findings(page)) and time.monotonic() < deadline:
            page.wait_for_timeout(250)
        assert found == [], f"{name}, {theme}"


def test_no_page_has_a_serious_finding(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "For everybody")
        long_line = f"text = '{'long ' * 100}'"
        upload(client, project, "all.ipynb", notebook_file(EVERY_OUTPUT, "1 / 0", long_line))
        upload(client, project, "notes.md", b"# Notes\n\nSome *text*.\n")
    page.goto(hub.url)
    check(page, "sign-in")
    sign_in(page, hub)
    expect(page.get_by_role("link", name="For everybody").first).to_be_visible()
    check(page, "dashboard")
    page.goto(f"{hub.url}/account")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    check(page, "account")
    page.goto(project_url(hub, project))
    expect(page.get_by_role("treeitem", name="all.ipynb")).to_be_visible()
    check(page, "project")
    page.goto(project_url(hub, project, "notes.md"))
    expect(page.locator(".cm-content")).to_be_visible()
    check(page, "text")
    notebook = NotebookPage(page, hub, project, "all.ipynb").open()
    check(page, "notebook before it runs")
    notebook.run_all()
    expect(notebook.cell("cell-1")).to_contain_text("ZeroDivisionError", timeout=40_000)
    expect(notebook.cell("cell-0").locator("img")).to_be_visible()
    check(page, "notebook")
    page.keyboard.press("ControlOrMeta+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page, "palette")
    page.keyboard.press("Escape")
    page.goto(f"{hub.url}/nothing")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    check(page, "nothing here")


FOCUS = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return null;
    window.stopNumbers ??= new WeakMap();
    window.stopCount ??= 0;
    if (!window.stopNumbers.has(at)) window.stopNumbers.set(at, ++window.stopCount);
    const style = getComputedStyle(at);
    const box = at.getBoundingClientRect();
    return {
        number: window.stopNumbers.get(at),
        name: at.getAttribute('aria-label') || at.textContent.trim().slice(0, 40) || at.id || at.tagName,
        isVisible: box.width > 0 && box.height > 0 && style.visibility !== 'hidden',
    };
}"""


def tab_stops(page: Page, key: str = "Tab") -> list[dict[str, Any]]:
    """The stops of a whole round; fails when the round never ends, which is what a trap does."""
    stops: list[dict[str, Any]] = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(MOST_TABS):
        page.keyboard.press(key)
        stop = page.evaluate(FOCUS)
        if stop is None:
            continue  # out of the page, where the browser's own controls are
        if stops and stop["number"] == stops[0]["number"]:
            return stops
        assert not stops or stop["number"] != stops[-1]["number"], f"{key} stays at {stop['name']}"
        stops.append(stop)
    raise AssertionError(f"{key} never comes round: {[stop['name'] for stop in stops[-6:]]}")


@pytest.mark.parametrize("key", ["Tab", "Shift+Tab"])
def test_the_keyboard_reaches_everything_and_is_never_trapped(page: Page, hub: LiveHub, key: str) -> None:
    with hub.client() as client:
        project = make_project(client, "Keys")
        upload(client, project, "keys.ipynb", notebook_file("a = 1", "b = 2"))
    page.goto(hub.url)
    assert {"login", "password", "Sign in"} <= {_name(page, stop) for stop in tab_stops(page, key)}
    sign_in(page, hub)
    for address, needed in (("/", "New project"), ("/account", "Account of admin")):
        page.goto(f"{hub.url}{address}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")
        stops = tab_stops(page, key)
        assert any(needed in stop["name"] for stop in stops), stops
        assert all(stop["isVisible"] for stop in stops), stops
    notebook = NotebookPage(page, hub, project, "keys.ipynb").open()
    notebook.expect_saved()
    names = [stop["name"] for stop in tab_stops(page, key)]
    # The cells are one stop; the arrows go on from there.
    for needed in ("Run all", "keys.ipynb", "Code cell 1 of 2", "Add a cell"):
        assert any(needed in name for name in names), names


def _name(page: Page, stop: dict[str, Any]) -> str:
    return str(stop["name"]).removeprefix("id_")


def test_tab_belongs_to_the_editor_until_escape(page: Page, hub: LiveHub) -> None:
    """In a cell Tab indents or completes; Esc gives it back to the page. A dialog keeps the focus, Esc ends it."""
    with hub.client() as client:
        project = make_project(client, "Tabs")
        upload(client, project, "tab.ipynb", notebook_file("a = 1", "b = 2"))
    sign_in(page, hub)
    notebook = NotebookPage(page, hub, project, "tab.ipynb").open()
    notebook.select("cell-0")
    page.keyboard.press("Enter")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    notebook.expect_source("cell-0", "    a = 1")
    page.keyboard.press("Escape")
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.cm-editor') === null")
    notebook.expect_source("cell-0", "    a = 1")

    page.goto(f"{hub.url}/")
    opener = page.get_by_role("button", name="New project").first
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('[role=dialog]') !== null")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
