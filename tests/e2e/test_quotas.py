"""A quota that is used up: explained where it bites, freed from there, retried."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, screenshots, sign_in
from tests.e2e.pages import NotebookPage, document_id, make_project, upload
from tests.live_hub import PASSWORD, LiveHub

# What ran in a project may still write for a moment: it cannot be deleted for good before.
DELETED_YESTERDAY = """
from datetime import timedelta
from django.utils import timezone
from notebooks_app.models import Project
Project.objects.filter(name="Done with").update(deleted_at=timezone.now() - timedelta(days=1))
"""


def notebook(cell_id: str, source: str) -> bytes:
    cell: dict[str, object] = {
        "cell_type": "code", "id": cell_id, "metadata": {}, "source": source, "outputs": [], "execution_count": None,
    }  # fmt: skip
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}).encode()


def test_who_hits_the_kernel_quota_reads_why_stops_a_kernel_and_goes_on(page: Page, hub: LiveHub) -> None:
    hub.add_person("quincy")
    admin, quincy = hub.client(), hub.client("quincy")
    admin.put("admin/people/quincy/quotas", json={"values": {"max_kernels": 1}}).raise_for_status()
    project = make_project(quincy, "Quotas")
    upload(quincy, project, "first.ipynb", notebook("one", "1"))
    upload(quincy, project, "second.ipynb", notebook("two", "print('there is', 'room')"))
    first = document_id(quincy, project, "first.ipynb")
    quincy.post(f"documents/{first}/runs", json={"cells": "all"}).raise_for_status()
    deleted = make_project(quincy, "Done with")
    upload(quincy, deleted, "large.bin", b"x" * 300_000)
    quincy.delete(f"projects/{deleted['id']}").raise_for_status()
    hub.shell(DELETED_YESTERDAY)

    sign_in(page, hub, "quincy", PASSWORD)
    second = NotebookPage(page, hub, project, "second.ipynb").open()
    second.run("two")
    dialog = page.get_by_role("dialog", name="All your kernels are in use")
    expect(dialog).to_contain_text("You are running 1 of 1 kernel: stop one that you do not need.")
    expect(dialog).to_contain_text("limit set for you")
    again = dialog.get_by_role("button", name="Run again")
    expect(again).to_be_disabled()
    row = dialog.get_by_role("listitem").filter(has_text="first.ipynb")
    screenshot(page, "quota-dialog")
    row.get_by_role("button", name="Stop").click()
    busy = page.get_by_role("dialog", name="Stop first.ipynb?")
    if busy.is_visible():  # its cell was still running when the hub told of it
        busy.get_by_role("button", name="Stop kernel").click()
    expect(row.get_by_role("button", name="Stopped")).to_be_visible()
    expect(dialog.get_by_role("status")).to_have_text("There is room now.")
    again.click()
    expect(dialog).to_have_count(0)
    expect(second.cell("two")).to_contain_text("there is room", timeout=60_000)

    page.goto(f"{hub.url}/usage")
    in_use = page.get_by_role("region", name="In use")
    expect(in_use).to_contain_text("1 of 1 kernel")
    expect(in_use).to_contain_text("Limit set for you.")
    expect(in_use).to_contain_text("An administrator can give you more.")
    expect(
        page.get_by_role("region", name="Storage by project").get_by_role("link", name="Quotas")
    ).to_be_visible()
    expect(page.get_by_role("meter", name=re.compile("Kernels running"))).to_have_attribute(
        "aria-valuenow", "1"
    )
    screenshots(page, "usage")

    # What was deleted counts until it is gone for good.
    row = page.get_by_role("row").filter(has_text="Done with")
    expect(row).to_contain_text("deleted; counts until")
    row.get_by_role("button", name="Delete for good").click()
    sure = page.get_by_role("dialog", name="Delete Done with for good?")
    expect(sure).to_contain_text("Nobody can bring them back.")
    sure.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("Done with is gone. Its storage is free again.")).to_be_visible()
    expect(row).to_have_count(0)
