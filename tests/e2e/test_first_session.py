"""A new person's first hour: sign in, make a project, upload a notebook, run it, see everything."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from notebooks_app.example import example_files
from tests.e2e.conftest import screenshots, sign_in
from tests.live_hub import LiveHub

STUDY = "Diabetes study.ipynb"


def test_sign_in_upload_and_run_a_real_notebook(page: Page, hub: LiveHub, tmp_path: Path) -> None:
    content = dict(example_files())[STUDY]
    notebook = json.loads(content)
    code_cells = [cell["id"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(notebook["cells"]) >= 20
    (tmp_path / "study.ipynb").write_bytes(content)

    page.goto(hub.url)
    screenshots(page, "sign-in")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page, hub)
    expect(page.get_by_role("heading", name=re.compile("admin"))).to_be_visible()
    screenshots(page, "dashboard")

    page.get_by_role("button", name="New project").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("Churn analysis")
    screenshots(page, "new-project")
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Create|Make|New")).click()
    page.wait_for_url(re.compile("/p/admin/churn-analysis"))
    screenshots(page, "project-empty")

    page.locator('input[type="file"]').first.set_input_files(tmp_path / "study.ipynb")
    page.get_by_role("treeitem", name="study.ipynb").click()
    expect(page.get_by_role("article").first).to_be_visible()
    screenshots(page, "notebook-before")

    page.get_by_role("button", name="Run all", exact=True).click()
    last = page.locator(f'article[data-cell-id="{code_cells[-1]}"]')
    expect(last).to_have_attribute("aria-label", re.compile("running|waiting"), timeout=20_000)
    expect(last).not_to_have_attribute("aria-label", re.compile("running|waiting"), timeout=90_000)
    for number, cell_id in enumerate(code_cells, start=1):
        cell = page.locator(f'article[data-cell-id="{cell_id}"]')
        cell.scroll_into_view_if_needed()
        expect(cell.locator(".nb-prompt")).to_have_text(f"[{number}]")

    client = hub.client()
    project = next(one for one in client.get("projects").json() if one["slug"] == "churn-analysis")
    document = client.post(f"projects/{project['id']}/documents", json={"path": "study.ipynb"}).json()
    saved = client.get(f"documents/{document['id']}/notebook").raise_for_status().json()
    kinds = {"image": "img.out-image, .out-image img, img", "table": "table"}
    for cell in saved["cells"]:
        shown = page.locator(f'article[data-cell-id="{cell["id"]}"]')
        mimes = {mime for output in cell.get("outputs", []) for mime in output.get("data", {})}
        if not cell.get("outputs"):
            continue
        shown.scroll_into_view_if_needed()
        if "image/png" in mimes:
            picture = shown.locator(kinds["image"]).first
            expect(picture).to_be_visible()
            assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
        if "text/html" in mimes:
            expect(shown.locator("table, iframe").first).to_be_visible()
    page.locator(f'article[data-cell-id="{code_cells[len(code_cells) // 2]}"]').scroll_into_view_if_needed()
    screenshots(page, "notebook-after")


def test_every_other_page_is_shown(page: Page, hub: LiveHub) -> None:
    sign_in(page, hub)
    page.goto(f"{hub.url}/account")
    expect(page.get_by_role("heading", name=re.compile("Account|token", re.IGNORECASE)).first).to_be_visible()
    screenshots(page, "account")
    page.goto(f"{hub.url}/p/admin/first-steps/f/README.md")
    expect(page.locator(".cm-content").first).to_be_visible()
    screenshots(page, "text-editor")
    page.goto(f"{hub.url}/p/admin/nothing-here")
    expect(page.get_by_role("main")).to_be_visible()
    screenshots(page, "not-found")
    page.goto(f"{hub.url}/admin/records/")
    expect(
        page.get_by_role("link", name="Users").or_(page.get_by_role("link", name="People")).first
    ).to_be_visible()
    screenshots(page, "admin-records")
