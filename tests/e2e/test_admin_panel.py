"""The admin panel: a quota that is set, met, raised and met no more; and every page with a whole team's data in it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import browser_of, screenshot, screenshots, sign_in
from tests.e2e.pages import NotebookPage, add_member, make_project, upload
from tests.e2e.test_accessible import check
from tests.live_hub import LiveHub, running_hub
from tests.notebook_files import notebook_file

KERNELS = "Kernels running at once"


@pytest.fixture
def person() -> str:
    """Whose quota is changed: nobody whom another test, or an earlier try of this one, gave a limit."""
    return f"quentin-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def persons_page(browser: Browser, hub: LiveHub, person: str) -> Iterator[Page]:
    """A browser of theirs, signed in."""
    with browser_of(browser, hub, person) as page:
        yield page


def quota_field(page: Page, title: str) -> Locator:
    return page.get_by_role("textbox", name=title, exact=True)


def quota_row(page: Page, title: str) -> Locator:
    return page.get_by_role("row").filter(has=quota_field(page, title))


def set_quota(page: Page, title: str, text: str) -> None:
    """As an administrator does: types it and saves; done when the hub has it."""
    quota_field(page, title).fill(text)
    page.get_by_role("button", name="Save quotas").click()
    expect(page.get_by_text("Empty fields take what the level above gives.")).to_be_visible()


def quota_changes(client: httpx.Client, username: str) -> list[tuple[object, object]]:
    """From and to, the last one first."""
    events = client.get("admin/audit", params={"action": "quota_changed"}).raise_for_status().json()["items"]
    return [
        (event["details"]["old"], event["details"]["new"])
        for event in events
        if event["target"]["name"] == username
    ]


def test_a_quota_is_set_in_the_panel_met_explained_raised_and_met_no_more(
    page: Page, person: str, persons_page: Page, hub: LiveHub
) -> None:
    with hub.client() as client:
        project = make_project(client, f"Within limits of {person}")
        add_member(client, project, person, "editor")
        for name in ("first", "second"):
            upload(client, project, f"{name}.ipynb", notebook_file(f"print('{name} ran')"))

        # Who administers nothing finds no panel.
        persons_page.goto(f"{hub.url}/admin/people")
        expect(persons_page.get_by_role("heading", name="There is nothing here")).to_be_visible()
        persons_page.get_by_role("button", name=re.compile("Account of")).click()
        expect(persons_page.get_by_role("menuitem", name="Teams")).to_be_visible()
        expect(persons_page.get_by_role("menuitem", name="Admin panel")).to_have_count(0)

        sign_in(page, hub)
        page.get_by_role("button", name=re.compile("Account of")).click()
        page.get_by_role("menuitem", name="Admin panel").click()
        page.get_by_role("navigation", name="Admin panel").get_by_role("link", name="People").click()
        page.get_by_role("searchbox").fill(person)
        page.get_by_role("table", name="People").get_by_role("link", name=person).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(person)

        # What cannot be a limit is refused at its field, and nothing is sent.
        field = quota_field(page, KERNELS)
        for text, problem in (("-1", "less than nothing"), ("many", "not clear"), ("1.5", "whole number")):
            field.fill(text)
            field.press("Tab")
            expect(quota_row(page, KERNELS).get_by_role("alert")).to_contain_text(problem)
        quota_field(page, "Memory of a kernel").fill("2")
        page.get_by_role("button", name="Save quotas").click()
        expect(field).to_be_focused()
        page.get_by_role("button", name="Discard").click()
        assert quota_changes(client, person) == []

        set_quota(page, KERNELS, "1")
        expect(quota_row(page, KERNELS)).to_contain_text("Person")
        assert quota_changes(client, person) == [("unset", 1)]

        notebook = NotebookPage(persons_page, hub, project, "first.ipynb").open()
        notebook.run_all()
        notebook.wait_until_done("cell-0", 1)
        second = NotebookPage(persons_page, hub, project, "second.ipynb").open()
        second.run_all()
        expect(persons_page.get_by_text("You are running 1 of 1 kernel").first).to_be_visible()
        screenshot(persons_page, "quota-met")

        page.reload()
        expect(quota_row(page, KERNELS)).to_contain_text("1 of 1")
        screenshot(page, "quota-in-panel")
        set_quota(page, KERNELS, "2")
        assert quota_changes(client, person) == [(1, 2), ("unset", 1)]

        persons_page.keyboard.press("Escape")
        second.run_all()
        second.wait_until_done("cell-0", 1)
        expect(second.cell("cell-0")).to_contain_text("second ran")


@pytest.fixture(scope="module")
def whole_team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    """A hub of its own with 50 people, 30 kernels and 3 nodes: rows, nothing of it runs."""
    with running_hub(tmp_path_factory.mktemp("team") / "data") as hub:
        hub.command("generate_demo", "--people", "50", "--kernels", "30", "--nodes", "3")
        yield hub


PARTS = (
    "people",
    "teams",
    "quotas",
    "kernels",
    "nodes",
    "announcements",
    "invitations",
    "audit",
)


@pytest.mark.timeout(300)  # 22 screenshots, or 66
def test_every_part_of_the_panel_shows_a_whole_team(page: Page, whole_team: LiveHub) -> None:
    """Screenshots; no serious finding of axe in either theme; nothing wider than the page."""
    with whole_team.client() as client:
        people = client.get("admin/people", params={"sort": "-kernel_count"}).raise_for_status().json()
        teams = client.get("admin/teams").raise_for_status().json()["items"]
    assert people["total"] >= 50
    person, team = people["items"][0]["username"], teams[0]["slug"]
    sign_in(page, whole_team)
    addresses = {
        "overview": "",
        **{part: f"/{part}" for part in PARTS},
        "person": f"/people/{person}",
        "team": f"/teams/{team}",
    }
    for name, path in addresses.items():
        page.goto(f"{whole_team.url}/admin{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Loading…")).to_have_count(0)
        check(page, name)
        screenshots(page, f"admin-{name}")
        main = page.get_by_role("main")
        assert main.evaluate("(main) => main.scrollWidth <= main.clientWidth + 1"), name

    page.goto(f"{whole_team.url}/admin/kernels?state=busy&sort=-memory_bytes")
    rows = page.get_by_role("table", name="Kernels").locator("tbody tr")
    expect(rows.first).to_be_visible()
    shown = rows.count()
    # By keyboard: down the rows, a range chosen with Shift, and given up with Escape.
    rows.first.get_by_role("checkbox").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_text("2 selected" if shown > 1 else "1 selected")).to_be_visible()
    screenshot(page, "admin-kernels-selected")
    page.keyboard.press("Escape")
    expect(page.get_by_text("selected")).to_have_count(0)
