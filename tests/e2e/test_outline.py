"""The headings of a notebook at its side."""

from __future__ import annotations

import json
from functools import partial

from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import screenshots, sign_in
from tests.e2e.pages import NotebookPage, make_project, upload
from tests.live_hub import LiveHub, wait_for

PARTS = ("Reading the data", "Cleaning it", "A first model", "What it says", "Open questions")


def _report() -> bytes:
    cells: list[dict[str, object]] = []

    def add(cell_id: str, source: str, **fields: object) -> None:
        cells.append({"id": cell_id, "metadata": {}, "source": source, **fields})

    add("title", "# Harvest of 2031\n\nAll numbers in tonnes.", cell_type="markdown")
    for number, part in enumerate(PARTS):
        text = f"## {part}\n\n" + "A line of text.\n\n" * 8 + f"### More of {part.lower()}\n\nAnd *more*."
        add(f"part-{number}", text, cell_type="markdown")
        code = "\n".join(f"value_{line} = {line}" for line in range(12))
        for at in range(4):
            add(f"code-{number}-{at}", code, cell_type="code", outputs=[], execution_count=None)
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def _is_at_top(heading: Locator, view: Locator) -> bool:
    box, around = heading.bounding_box(), view.bounding_box()
    if box is None or around is None:
        return False
    is_at_end = view.evaluate("view => view.scrollTop + view.clientHeight > view.scrollHeight - 2")
    return abs(box["y"] - around["y"]) < 40 or bool(is_at_end)


def test_the_outline_shows_where_one_is_and_leads_to_every_heading(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Outline")
        upload(client, project, "report.ipynb", _report())
    sign_in(page, hub)
    notebook = NotebookPage(page, hub, project, "report.ipynb").open()
    page.get_by_role("button", name="Outline", exact=True).click()
    panel = page.get_by_role("region", name="Outline")
    rows = panel.locator(".outline-row")
    expect(rows).to_have_count(1 + 2 * len(PARTS))
    # A list in a list, for who hears it.
    expect(panel.locator(".outline > ul > li > ul > li > ul > li")).to_have_count(len(PARTS))

    view = page.locator(".nb-scroller")
    for name in ("More of what it says", "Harvest of 2031", "Open questions"):
        panel.get_by_role("button", name=name, exact=True).click()
        heading = page.get_by_role("article").get_by_role("heading", name=name, exact=True)
        expect(heading).to_be_in_viewport()
        wait_for(f"“{name}” is at the top of the view", partial(_is_at_top, heading, view))
        expect(panel.locator("[aria-current=location]")).to_have_text(name)
    screenshots(page, "outline")

    notebook.select("code-1-2")
    expect(panel.locator("[aria-current=location]")).to_have_text("More of cleaning it")
    page.keyboard.press("b")
    page.keyboard.press("m")
    page.keyboard.press("Enter")
    page.keyboard.type("## Outliers")
    expect(panel.get_by_role("button", name="Outliers", exact=True)).to_be_visible()
    expect(rows).to_have_count(2 + 2 * len(PARTS))
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("d")
    expect(rows).to_have_count(1 + 2 * len(PARTS))
