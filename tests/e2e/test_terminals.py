"""A terminal in the browser: typed into, loaded again, flooded, stopped."""

from __future__ import annotations

import contextlib
import re
import time

import httpx
import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from kernels_app.node.provisioners.terminal_process import MARKER_NAME
from tests.e2e.conftest import screenshots, sign_in
from tests.e2e.pages import make_project, project_url
from tests.live_hub import LiveHub, wait_for


@pytest.fixture(scope="module")
def client(hub: LiveHub) -> httpx.Client:
    return hub.client()


def screen(page: Page) -> Locator:
    return page.locator(".tab-panel:not([hidden]) .xterm-rows")


def type_line(page: Page, text: str) -> None:
    page.get_by_role("textbox", name=re.compile(r"^Terminal \d+\.")).locator("visible=true").focus()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def type_until_shown(page: Page, line: str, text: str) -> None:
    """What is typed while the connection is lost is not sent later: a person types it again."""
    for _ in range(4):
        type_line(page, line)
        with contextlib.suppress(AssertionError):
            expect(screen(page)).to_contain_text(text, timeout=5_000)
            return
    expect(screen(page)).to_contain_text(text)


def open_terminal(page: Page, hub: LiveHub, project: dict[str, str]) -> None:
    sign_in(page, hub)
    page.goto(project_url(hub, project))
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Terminal").click()
    expect(page.get_by_role("tab", name=re.compile("Terminal 1"))).to_be_visible()
    expect(screen(page)).to_contain_text(re.compile(r"[#$]"))


def shells() -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if MARKER_NAME in process.environ():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_what_a_terminal_printed_is_there_after_a_reload_and_a_killed_web_process(
    page: Page, hub: LiveHub, client: httpx.Client
) -> None:
    project = make_project(client, "terminal reload")
    open_terminal(page, hub, project)
    type_line(page, "kept=$((6*7)); echo answer=$kept=")
    expect(screen(page)).to_contain_text("answer=42=")
    page.reload()
    expect(screen(page)).to_contain_text("answer=42=")
    assert page.url.endswith("/t/1")
    hub.kill("web")
    wait_for("the web process answers", lambda: _answers(hub))
    expect(page.get_by_text("Connecting…")).to_have_count(0, timeout=30_000)
    expect(screen(page)).to_contain_text("answer=42=")
    type_until_shown(page, "echo same-$kept-shell", "same-42-shell")
    screenshots(page, "terminal")


def _answers(hub: LiveHub) -> bool:
    try:
        return httpx.get(f"{hub.url}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_flood_leaves_the_page_and_the_hub_quick_and_ctrl_c_ends_it(
    page: Page, hub: LiveHub, client: httpx.Client
) -> None:
    project = make_project(client, "terminal flood")
    open_terminal(page, hub, project)
    before = _memory(hub)
    type_line(page, "yes")
    slowest_s = 0.0
    until = time.monotonic() + 5
    while time.monotonic() < until:
        started = time.monotonic()
        assert client.get(f"projects/{project['id']}/terminals").status_code == 200
        slowest_s = max(slowest_s, time.monotonic() - started)
        page.wait_for_timeout(100)
    assert slowest_s < 1.0
    page.keyboard.press("Control+c")
    type_line(page, "clear; echo over=$((1+1))=")
    expect(screen(page)).to_contain_text("over=2=", timeout=10_000)
    assert _memory(hub) - before < 60 << 20


def _memory(hub: LiveHub) -> int:
    return sum(psutil.Process(hub.pid_of(program)).memory_info().rss for program in ("web", "node", "valkey"))


def test_the_shell_gets_its_keys_and_the_person_can_leave_it(
    page: Page, hub: LiveHub, client: httpx.Client
) -> None:
    project = make_project(client, "terminal keys")
    open_terminal(page, hub, project)
    type_line(page, "echo first-line")
    page.keyboard.press("Control+p")  # the shell's history, not the page's files
    page.keyboard.type("-again")
    page.keyboard.press("Enter")
    expect(screen(page)).to_contain_text("first-line-again")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Shift+Escape")
    expect(page.get_by_role("tab", name=re.compile("Terminal 1"))).to_be_focused()
    page.evaluate("navigator.clipboard.writeText('echo pas' + 'ted-$((6*7))')")
    page.get_by_role("textbox", name=re.compile("^Terminal 1")).focus()
    page.keyboard.press("Control+v")
    page.keyboard.press("Enter")
    expect(screen(page)).to_contain_text("pasted-42")


def test_a_stopped_terminal_says_so_and_leaves_nothing_behind(
    page: Page, hub: LiveHub, client: httpx.Client
) -> None:
    project = make_project(client, "terminal stop")
    open_terminal(page, hub, project)
    type_line(page, "nohup sleep 4242 >/dev/null 2>&1 & setsid sleep 4243 &")
    wait_for("both run", lambda: sum("sleep 424" in line for line in shells()) == 2)
    page.get_by_role("button", name="Running", exact=True).click()
    panel = page.get_by_role("region", name="Terminals")
    expect(panel.get_by_role("link", name="Terminal 1")).to_be_visible()
    screenshots(page, "terminal-running")
    panel.get_by_role("button", name="Stop Terminal 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop terminal").click()
    expect(page.get_by_text("Terminal 1 is over. The terminal was closed.")).to_be_visible()
    expect(panel.get_by_text("No terminal is open in this project.")).to_be_visible()
    wait_for("all have ended", lambda: not any("sleep 424" in line for line in shells()))
    panel.get_by_role("button", name="New terminal").click()
    expect(page.get_by_role("tab", name="Terminal 2")).to_have_attribute("aria-selected", "true")
    expect(screen(page)).to_contain_text(
        re.compile(r"[$#]")
    )  # a shell that starts drops what was typed before
    type_line(page, "echo new-$((6*7))")
    expect(screen(page)).to_contain_text("new-42")
