"""A real browser against a real hub. Screenshots go to `test-artifacts/`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.live_hub import ADMIN, PASSWORD, ROOT, LiveHub, running_hub, wait_for

ARTIFACTS = ROOT / "test-artifacts"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=20_000)  # a busy machine is slow; a passing test waits no longer for it
VIEWPORTS = {"wide": (1440, 900), "small": (1024, 768), "phone": (390, 844)}


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    # Playwright's sync API runs an event loop in this thread; Django must not mind.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with running_hub(tmp_path_factory.mktemp("hub") / "data") as hub:
        yield hub


@pytest.fixture(scope="session")
def administration(hub: LiveHub) -> Iterator[httpx.Client]:
    with hub.client() as client:
        yield client


@pytest.fixture(autouse=True)
def _kernels_end_with_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one test started takes neither a place in the quota nor the machine's time from those after it."""
    if "hub" not in request.fixturenames:
        yield
        return
    administration: httpx.Client = request.getfixturevalue("administration")
    yield
    wait_for("the kernels are told to stop", lambda: _stop_all(administration), timeout_s=60)


def _stop_all(administration: httpx.Client) -> bool:
    with contextlib.suppress(httpx.HTTPError):  # a web process that a test killed is starting again
        return administration.post("admin/kernels/stop", json={"all": True}).is_success
    return False


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "the browser tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    width, height = VIEWPORTS["wide"]
    context = browser.new_context(
        viewport={"width": width, "height": height}, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that fails its test when it logs an error or breaks its content security policy."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"exception: {error}"))
    page.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and "Content Security Policy" in message.text
            else None
        ),
    )
    yield page
    if request.node.stash.get(_FAILED, False):
        for shown in context.pages[-1:]:  # the test may have closed its first one
            screenshot(shown, f"failed-{request.node.name}")
    assert not errors, errors


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call":  # type: ignore[attr-defined]
        item.stash[_FAILED] = report.failed  # type: ignore[attr-defined]
    return report


def screenshot(page: Page, name: str) -> Path:
    ARTIFACTS.mkdir(exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    page.screenshot(path=path)
    return path


def screenshots(page: Page, name: str) -> None:
    """The page, when all of it is there, as `name-<size>-<theme>.png`.

    As most see it and as what is least like that; with ALL_SCREENSHOTS=1 in three sizes and both themes, for people
    who look at them (each costs a second of a processor).
    """
    expect(page.get_by_text("Loading…")).to_have_count(0)
    shots: list[tuple[str, Literal["light", "dark"]]] = [("wide", "light"), ("phone", "dark")]
    if os.environ.get("ALL_SCREENSHOTS"):
        shots = [(size, theme) for size in VIEWPORTS for theme in ("light", "dark")]
    for size, theme in shots:
        width, height = VIEWPORTS[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(150)  # the layout of the new size is painted
        screenshot(page, f"{name}-{size}-{theme}")
    page.emulate_media(color_scheme="light")
    width, height = VIEWPORTS["wide"]
    page.set_viewport_size({"width": width, "height": height})


def sign_in(page: Page, hub: LiveHub, username: str = ADMIN, password: str = PASSWORD) -> None:
    """Sign in through the form, as a person does."""
    page.goto(f"{hub.url}/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)


@contextlib.contextmanager
def browser_of(browser: Browser, hub: LiveHub, username: str) -> Iterator[Page]:
    """A signed-in browser of a person's own; the account is made unless it is there."""
    hub.add_person(username)
    width, height = VIEWPORTS["wide"]
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(20_000)
    try:
        page = context.new_page()
        sign_in(page, hub, username)
        yield page
    finally:
        context.close()
