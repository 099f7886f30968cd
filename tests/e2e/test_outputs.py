"""Outputs that change while a cell runs are shown as JupyterLab shows them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.pages import NotebookPage, make_project, upload
from tests.live_hub import LiveHub
from tests.notebook_files import notebook_file

CLEARING = (
    "import time\n"
    "from IPython.display import clear_output\n"
    "for i in range(10):\n"
    "    clear_output(wait=True)\n"
    "    print('step', i)\n"
    "    time.sleep(0.05)\n"
)
PROGRESS = "from tqdm import tqdm\nimport time\nfor _ in tqdm(range(20)):\n    time.sleep(0.02)\n"
HANDLE = "from IPython.display import display\nhandle = display('before', display_id='shared')\n"
UPDATE = "handle.update('after')\nprint('updated')\n"
ASKING = (
    "import getpass\n"
    "name = input('Your name? ')\n"
    "secret = getpass.getpass('Secret: ')\n"
    "print('hello', name, len(secret))\n"
)
FAILING = "1 / 0"
BEHIND = "print('never')"


def test_outputs_that_change(page: Page, hub: LiveHub) -> None:
    with hub.client() as client:
        project = make_project(client, "Outputs")
        sources = (CLEARING, PROGRESS, HANDLE, UPDATE, ASKING, FAILING, BEHIND)
        upload(client, project, "outputs.ipynb", notebook_file(*sources))
    sign_in(page, hub)
    notebook = NotebookPage(page, hub, project, "outputs.ipynb").open()
    notebook.run_all()

    asking = notebook.cell("cell-4")
    expect(asking.get_by_label("Your name?")).to_be_visible(timeout=40_000)
    asking.get_by_label("Your name?").fill("Ada")
    page.keyboard.press("Enter")
    secret = asking.get_by_label("Secret:")
    expect(secret).to_have_attribute("type", "password")
    screenshot(page, "input-prompt")
    secret.fill("12345")
    page.keyboard.press("Enter")
    expect(asking.locator(".out-stdout")).to_contain_text("hello Ada 5")

    cleared = notebook.cell("cell-0").locator(".out-stdout")
    assert (cleared.text_content() or "").strip() == "step 9"
    progress = notebook.cell("cell-1").locator(".out-stderr").text_content() or ""
    assert "100%" in progress
    assert progress.strip().count("\n") == 0, progress
    expect(notebook.cell("cell-2").locator(".out-list")).to_have_text("'after'")
    expect(notebook.cell("cell-5")).to_contain_text("ZeroDivisionError")
    behind = notebook.cell("cell-6")
    expect(behind.get_by_text("never", exact=True)).to_have_count(0)
    expect(behind.locator(".out-stdout")).to_have_count(0)
    screenshot(page, "failure-in-run-all")
