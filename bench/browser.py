"""What a person waits for, in Chromium: sign-in to the first output, a notebook of 500 cells, a keystroke."""

from __future__ import annotations

import shutil
import time
from typing import Any

import msgspec
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.editor_client import notebook_of, open_document
from bench.measuring import quantile, write_result
from bench.options import Options
from bench.report import Spread, print_table, spread_of
from bench.servers import IPYTHON, hub
from tests.live_hub import ADMIN, PASSWORD

CELLS = 500
KEYSTROKES = 60
BARS = {"first_output_s": 1.5, "open_500_cells_s": 1.0}
# From a key's event to the frame that shows it: what the page's own code makes a person wait.
_WATCH_KEYS = """
() => {
  window.keyTimes = [];
  document.addEventListener('keydown', () => {
    const begun = performance.now();
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.keyTimes.push(performance.now() - begun);
      channel.port2.postMessage(0);
    });
  }, true);
}
"""
# A person without reaction time, in the page: the clock starts when the form is sent, "Run all" is pressed as soon as
# it can be, and the clock stops with the frame that shows the text. Waiting for either from outside the page adds up to
# half a second.
_WATCH_FIRST_OUTPUT = """
(text) => {
  addEventListener('submit', () => sessionStorage.setItem('begun', Date.now()), true);
  const look = () => {
    const button = document.querySelector('button[aria-label="Run all"]:not(:disabled)');
    if (button && !sessionStorage.getItem('pressed')) {
      sessionStorage.setItem('pressed', Date.now());
      button.click();
    }
    if (document.body?.textContent.includes(text) && !sessionStorage.getItem('shown')) {
      sessionStorage.setItem('shown', '0');
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => sessionStorage.setItem('shown', Date.now());
        channel.port2.postMessage(0);
      });
    }
  };
  const all = { childList: true, subtree: true, characterData: true, attributes: true };
  new MutationObserver(look).observe(document, all);
}
"""


def _sign_in(page: Page) -> None:
    page.get_by_label("Username").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def first_output_s(browser: Browser, url: str) -> tuple[float, float]:
    """From sending "Sign in" to pressing "Run all", and to the text that a cell printed, kernel not yet running: one
    person who signs in to a notebook's address and runs it as soon as it can be run."""
    context = browser.new_context()
    context.add_init_script(f"({_WATCH_FIRST_OUTPUT})('first output 42')")
    page = context.new_page()
    page.goto(url)
    _sign_in(page)
    page.wait_for_function("() => Number(sessionStorage.getItem('shown')) > 0")
    begun, pressed, shown = (
        float(page.evaluate(f"() => sessionStorage.getItem('{name}')")) / 1000
        for name in ("begun", "pressed", "shown")
    )
    context.close()
    return pressed - begun, shown - begun


def open_large_s(page: Page, url: str) -> float:
    """From the address to a notebook whose first cell takes a key."""
    begun = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator('article[data-cell-id="c0"] .ed').first.click()
    page.keyboard.press("End")
    page.keyboard.type("#")
    expect(page.locator('article[data-cell-id="c0"] .ed').first).to_contain_text("#")
    return time.perf_counter() - begun


def keystroke_ms(page: Page) -> list[float]:
    """Of keys typed into the first cell, 20 a second."""
    page.evaluate(_WATCH_KEYS)
    page.locator('article[data-cell-id="c0"] .ed').first.click()
    for number in range(KEYSTROKES):
        page.keyboard.press("abcdefghij"[number % 10])
        page.wait_for_timeout(50)
    times: list[float] = page.evaluate("() => window.keyTimes")
    return times


def measure(options: Options) -> dict[str, Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise RuntimeError("Chromium is not on PATH.")
    pressed: list[float] = []
    first: list[float] = []
    large: list[float] = []
    keys: list[float] = []
    with hub() as server, sync_playwright() as playwright, server.live.client() as client:
        project = client.post("projects", json={"name": "bench"}).raise_for_status().json()
        address = f"{server.live.url}/p/{project['team']}/{project['slug']}/f"
        small = notebook_of({"first": "print('first output', 6 * 7)"}, IPYTHON)
        sources = {f"c{n}": f"value_{n} = {n}\nprint(value_{n})" for n in range(CELLS)}
        open_document(client, project["id"], "large.ipynb", notebook_of(sources, IPYTHON))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for number in range(options.repeats + 1):
            name = f"first-{number}.ipynb"
            open_document(client, project["id"], name, small)
            press, show = first_output_s(browser, f"{address}/{name}")
            if number:  # the very first one warms the server
                pressed.append(press)
                first.append(show)
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.live.url)
        _sign_in(page)
        page.get_by_role("heading").first.wait_for()
        for number in range(options.repeats + 1):
            took = open_large_s(page, f"{address}/large.ipynb")
            large += [took] if number else []
        for _ in range(options.repeats):
            keys.append(quantile(keystroke_ms(page), 0.95))
        browser.close()
    return {
        "run_all_pressed_s": spread_of(pressed),
        "first_output_s": spread_of(first),
        "open_500_cells_s": spread_of(large),
        "keystroke_p95_ms": spread_of(keys),
        "bars": BARS,
    }


def main(options: Options) -> None:
    figures = measure(options)
    print_table(
        ["what", "time"],
        [[name, value] for name, value in figures.items() if isinstance(value, Spread)],
    )
    print(f"written to {write_result('browser', msgspec.to_builtins(figures), options).name}")
