"""The hub as `docker compose up` starts it, on a real engine."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.container.compose_hub import ComposeHub, RemoteNotebook, docker, example_project, rows, wait_for
from tests.container.engine import ROOT
from tests.e2e.conftest import ARTIFACTS, CHROMIUM_ARGUMENTS

# The first one waits for the images too.
pytestmark = [pytest.mark.container, pytest.mark.timeout(1500)]

BASE_PATH = "/hub"
COUNT = 100
SLOW_CELL = (
    f"import time\nfor n in range({COUNT}):\n    print('line', n, flush=True); time.sleep(0.1)\n'done'"
)
FORK_BOMB = """
import os, time
for n in range(10_000):
    try:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
    except OSError:
        print("refused", n, flush=True)
        break
"""
SERVES = """
import socket, time
open("secret.txt", "w").write("of the other project")
server = socket.create_server(("", 5555))
print("listens", flush=True)
while True:
    time.sleep(1)
"""
ALL_LINES = "".join(f"line {n}\n" for n in range(COUNT))


def test_the_first_start_prints_a_password_that_signs_in(hub: ComposeHub) -> None:
    with httpx.Client(base_url=hub.url, follow_redirects=True) as browser:
        page = browser.get("/")
        assert page.url.path == "/accounts/login/"
        form = {
            "login": "admin",
            "username": "admin",
            "password": hub.password(),
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        signed_in = browser.post("/accounts/login/", data=form, headers={"Referer": hub.url})
        assert signed_in.status_code == 200
        assert browser.get("/api/hub/v1/me").json()["username"] == "admin"
    # A second start says nothing of it: it was shown once.
    assert "password:" not in hub.compose("run", "--rm", "-T", "prepare")


def test_the_example_runs_in_a_container_and_its_data_is_in_postgresql_and_valkey(hub: ComposeHub) -> None:
    client = hub.client()
    project = example_project(client)
    document = client.post(f"projects/{project['id']}/documents", json={"path": "Welcome.ipynb"}).json()
    before = set(hub.kernel_containers())
    client.post(f"documents/{document['id']}/runs", json={"cells": "all"}).raise_for_status()

    def states() -> list[str]:
        return [row["state"] for row in rows(client.get(f"documents/{document['id']}/runs"))]

    wait_for("the example has run", lambda: not {"queued", "running"} & set(states()), timeout_s=120)
    assert set(states()) == {"ok"}
    assert len(set(hub.kernel_containers()) - before) == 1
    assert int(hub.sql("SELECT count(*) FROM notebooks_app_celloutput WHERE state = 'ok'")) >= 3
    password = "$(sed -n 's/^requirepass //p' /run/secret/valkey.conf)"
    keys = hub.compose(
        "exec", "-T", "valkey", "sh", "-c", f"valkey-cli --no-auth-warning -a {password} keys 'node:*'"
    )
    assert "lease" in keys


def test_the_example_runs_in_a_browser_through_the_proxy(hub: ComposeHub) -> None:
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser_path, "the browser tests need Chromium: apt-get install chromium"
    project = example_project(hub.client())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=CHROMIUM_ARGUMENTS)
        try:
            page = browser.new_page()
            page.set_default_timeout(60_000)
            page.goto(hub.url)
            page.get_by_label("Username").fill("admin")
            page.get_by_label("Password").fill(hub.password())
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(lambda url: "/accounts/login" not in url)
            page.goto(f"{hub.url}/p/{project['team']}/{project['slug']}/f/Welcome.ipynb")
            expect(page.get_by_role("article").first).to_be_visible(timeout=60_000)
            page.get_by_role("button", name="Run all", exact=True).click()
            cells = page.locator("article:has(.nb-prompt)").all()
            assert len(cells) >= 5
            for cell in cells:
                cell.scroll_into_view_if_needed()
                expect(cell.locator(".nb-prompt").first).to_have_text(re.compile(r"\[\d+\]"), timeout=180_000)
            page.screenshot(path=ARTIFACTS / "compose-welcome.png")
        finally:
            browser.close()
    assert len(hub.kernel_containers()) >= 1


def test_a_kernel_container_reaches_nothing_of_the_hub_nor_of_others(hub: ComposeHub) -> None:
    client = hub.client()
    mine = RemoteNotebook(client, ["print('mine', flush=True)"])
    other_project = client.post("projects", json={"name": "Other"}).json()["id"]
    other = RemoteNotebook(client, [SERVES], project_id=other_project)
    mine.run()
    other.run().says("listens")
    assert mine.ended() == ["ok"]
    containers = hub.compose("ps", "-q").split() + hub.kernel_containers()
    found = [json.loads(docker("inspect", container))[0] for container in containers]
    addresses = []
    for one in found:
        for network in one["NetworkSettings"]["Networks"].values():
            addresses += [network["IPAddress"], network["Gateway"]]
    bridge = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]
    addresses.append(bridge.get("Gateway") or bridge["Subnet"].replace(".0/16", ".1"))
    folder = ROOT / "tests" / "container"
    scripts = "\n".join((folder / name).read_text(encoding="utf-8") for name in ("escape.py", "hostile.py"))
    # What the hub's programs know, as they know it.
    each = 'for name in /secrets/*; do cat "$name"; echo; done'
    secrets = hub.compose("exec", "-T", "web", "sh", "-c", each).split()
    assert len(secrets) >= 4
    pids = [one["State"]["Pid"] for one in found if one["State"]["Pid"]]
    mounts = sorted({mount["Source"] for one in found for mount in one["Mounts"]})
    calls = [
        f"print(tried({sorted(set(filter(None, addresses)))!r}, {other_project!r}, (5555,)))",
        f"print(reached((5555, 5432, 6379, 8000), {mounts!r}, {pids!r}, {secrets!r}))",
    ]
    prober = RemoteNotebook(client, [scripts, *calls], project_id=mine.project_id).run()
    assert prober.ended(120) == ["ok", "ok", "ok"], prober.outputs(1) + prober.outputs(2)
    assert [prober.text(1).strip(), prober.text(2).strip()] == ["[]", "[]"]
    # It would have been there to reach: who runs in the same project may.
    beside = "import socket; print(socket.create_connection(('127.0.0.1', 5555), 5) is not None)"
    assert other.states() == ["running"]
    of_other = f"label=org.zasper.kernel={other.kernel()['id']}"
    [container] = docker("ps", "--quiet", "--filter", of_other).split()
    assert docker("exec", container, "/opt/kernel/bin/python", "-c", beside).strip() == "True"
    other.stop()


def test_the_containers_themselves_are_closed(hub: ComposeHub) -> None:
    for name, may_be_root in (("web", False), ("recorder", False), ("worker", False), ("proxy", False)):
        inspected = json.loads(docker("inspect", *hub.compose("ps", "-q", name).split()))[0]
        assert (inspected["Config"]["User"] not in ("", "0", "root")) or may_be_root, name
        assert inspected["HostConfig"]["ReadonlyRootfs"], name
        assert not any("docker.sock" in mount["Source"] for mount in inspected["Mounts"]), name
    node = hub.compose("ps", "-q", "node").split()[0]
    status = docker("exec", node, "sh", "-c", "grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/1/status").split()
    assert status[:2] == ["Uid:", "10001"]
    assert status[status.index("CapEff:") + 1] == "0000000000000000"
    assert status[status.index("NoNewPrivs:") + 1] == "1"
    # Nobody but the proxy listens on the machine.
    ports = docker(
        "ps",
        "--filter",
        f"label=com.docker.compose.project={hub.project}",
        "--format",
        "{{.Names}} {{.Ports}}",
    )
    assert [line.split()[0] for line in ports.splitlines() if "->" in line] == [
        line.split()[0] for line in ports.splitlines() if "proxy" in line
    ]


def test_a_kernel_over_its_memory_ends_alone_and_says_why(hub: ComposeHub) -> None:
    client = hub.client()
    quick = RemoteNotebook(client, ["print('quick', flush=True)"]).run()
    hog = RemoteNotebook(client, ["x = b'x' * 10**9; print(len(x))"]).run()
    assert hog.ended() == ["died"]
    assert quick.ended() == ["ok"]
    reason = hub.sql("SELECT reason FROM kernels_app_kernel WHERE state = 'killed'")
    assert "512 MiB of 512 MiB" in reason


def test_a_fork_bomb_leaves_the_hub_answering(hub: ComposeHub) -> None:
    client = hub.client()
    RemoteNotebook(client, [FORK_BOMB]).run().says("refused")
    assert RemoteNotebook(client, ["print('still here')"]).run().ended() == ["ok"]


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_kernel_survives_its_node_with_its_running_cell_complete(hub: ComposeHub, how: str) -> None:
    notebook = RemoteNotebook(hub.client(), [SLOW_CELL, "n"]).run()
    notebook.says("line 5\n")
    if how == "restarted":
        hub.compose("restart", "node")
    else:
        hub.compose("kill", "-s", "KILL", "node")
        hub.compose("up", "-d", "--no-build", "--no-deps", "node")
    assert notebook.ended() == ["ok", "ok"]
    wait_for("all its lines are there", lambda: notebook.text() == ALL_LINES, timeout_s=20)
    assert [output["data"]["text/plain"] for output in notebook.outputs(1)] == [[str(COUNT - 1)]] or [
        output["data"]["text/plain"] for output in notebook.outputs(1)
    ] == [str(COUNT - 1)]


def test_a_backup_brings_back_what_was_there(
    hub: ComposeHub, tmp_path_factory: pytest.TempPathFactory
) -> None:
    client = hub.client()
    project_id = example_project(client)["id"]
    client.put(f"projects/{project_id}/files/kept.txt", content=b"kept").raise_for_status()
    folder = tmp_path_factory.mktemp("backups")
    done = subprocess.run(
        [str(ROOT / "deploy" / "backup"), str(folder)],
        env=hub.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    client.delete(f"projects/{project_id}/files/kept.txt").raise_for_status()
    client.put(f"projects/{project_id}/files/later.txt", content=b"later").raise_for_status()
    restored = subprocess.run(
        [str(ROOT / "deploy" / "restore"), done.stdout.split()[-1]],
        env=hub.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert restored.returncode == 0, restored.stderr
    wait_for("the hub is ready again", hub.is_ready, timeout_s=120)
    assert client.get(f"projects/{project_id}/files/kept.txt").content == b"kept"
    assert client.get(f"projects/{project_id}/files/later.txt").status_code == 404
    assert RemoteNotebook(client, ["print('runs')"]).run().ended() == ["ok"]


def test_only_the_programs_themselves_answer_prometheus(hub: ComposeHub) -> None:
    for name, metric in (
        ("web", "hub_sockets"),
        ("recorder", "hub_nodes_up 1.0"),
        ("worker", "hub_tasks_total"),
        ("node", "node_kernels"),
    ):
        script = (
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9100', timeout=5).read().decode())"
        )
        assert metric in hub.compose("exec", "-T", name, "python", "-c", script), name
    assert "hub_sockets" not in httpx.get(f"{hub.url}/metrics", follow_redirects=True).text


def test_everything_says_that_it_is_healthy(hub: ComposeHub) -> None:
    def unhealthy() -> list[str]:
        shown = docker(
            "ps", "--filter", f"label=com.docker.compose.project={hub.project}", "--format",
            "{{.Names}} {{.Status}}",
        )  # fmt: skip
        return [line for line in shown.splitlines() if "(healthy)" not in line and "proxy" not in line]

    wait_for("all are healthy", lambda: not unhealthy(), timeout_s=60)


def test_down_and_up_lose_nothing_and_two_of_each_work(hub: ComposeHub, certificate: Path) -> None:
    notebook = RemoteNotebook(hub.client(), ["print('before')"]).run()
    assert notebook.ended() == ["ok"]
    wait_for("it is recorded", lambda: notebook.text() == "before\n")
    hub.settle(BASE_PATH, certificate)
    hub.compose("down", "--timeout=10")
    hub.up("--scale", "web=2", "--scale", "node=2")
    notebook.client = hub.client()
    assert notebook.text() == "before\n"
    assert notebook.states() == ["ok"]
    wait_for(
        "two nodes are up", lambda: hub.sql("SELECT count(*) FROM kernels_app_node WHERE state = 'up'") == "2"
    )
    assert len(hub.compose("ps", "-q", "web").split()) == 2
    for _ in range(2):
        assert RemoteNotebook(hub.client(), ["print('again')"]).run().ended() == ["ok"]


def test_it_speaks_tls_with_a_certificate_and_lives_below_a_path(hub: ComposeHub, certificate: Path) -> None:
    url = f"https://127.0.0.1:{hub.environment['HUB_TLS_PORT']}"
    trusted = ssl.create_default_context(cafile=certificate)
    if hub.settle(BASE_PATH, certificate):
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/readyz", verify=trusted, timeout=5)
        hub.up()
    with httpx.Client(base_url=url, verify=trusted, follow_redirects=True) as browser:
        assert browser.get("/readyz").status_code == 200
        page = browser.get(f"{BASE_PATH}/")
        assert page.url == f"{url}{BASE_PATH}/accounts/login/?next={BASE_PATH}/"
        form = {
            "login": "admin",
            "username": "admin",
            "password": hub.password(),
            "csrfmiddlewaretoken": browser.cookies["csrftoken.hub"],
        }
        signed_in = browser.post(page.url, data=form, headers={"Referer": str(page.url)})
        assert (signed_in.status_code, signed_in.url.path) == (200, f"{BASE_PATH}/")
        assert browser.get(f"{BASE_PATH}/api/hub/v1/me").json()["username"] == "admin"
        assert browser.get("/api/hub/v1/me").status_code == 404
    old = ssl.create_default_context(cafile=certificate)
    with pytest.deprecated_call():
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/readyz", verify=old, timeout=5)
    assert hub.is_ready(), "the plain port is there as before"


def test_one_web_and_one_node_are_killed_under_load_and_the_others_lose_nothing(hub: ComposeHub) -> None:
    hub.up("--scale", "web=2", "--scale", "node=2")
    client = hub.client()
    for kernel in client.get("kernels").json():  # places for four more
        client.delete(f"kernels/{kernel['id']}")
    slow = SLOW_CELL.replace(f"range({COUNT})", f"range({4 * COUNT})")
    notebooks = {
        notebook.document_id: notebook
        for notebook in (RemoteNotebook(client, [slow]) for _ in range(4))
        if notebook.run()
    }
    for notebook in notebooks.values():
        notebook.says("line 3\n")
    documents = "','".join(notebooks)
    where = dict(
        line.split("|")
        for line in hub.sql(
            "SELECT document_id, node_id FROM kernels_app_kernel "
            f"WHERE document_id IN ('{documents}') AND ended_at IS NULL"
        ).splitlines()
    )
    assert len(set(where.values())) == 2, f"both nodes have kernels: {where}"
    lost_node = sorted(set(where.values()))[0]
    [lost_container] = docker(
        "ps", "--quiet",
        "--filter", f"label=com.docker.compose.project={hub.project}",
        "--filter", "label=com.docker.compose.service=node",
        "--filter", f"label=com.docker.compose.container-number={lost_node.rpartition('-')[2]}",
    ).split()  # fmt: skip
    docker("kill", hub.compose("ps", "-q", "web").split()[0], lost_container)
    killed_at = time.monotonic()
    # People keep working, through the same address, from the first moment.
    for _ in range(20):
        assert client.get("me").status_code == 200
    lost = [document for document, node in where.items() if node == lost_node]

    def said() -> list[str]:
        rows_of = hub.sql(
            "SELECT state || ': ' || reason FROM kernels_app_kernel "
            "WHERE document_id IN ('{}') AND ended_at IS NOT NULL".format("','".join(lost))
        )
        return rows_of.splitlines()

    wait_for("the lost kernels end", lambda: len(said()) == len(lost), timeout_s=30)
    took_s = time.monotonic() - killed_at
    assert took_s <= 30
    assert {line.split(":")[0] for line in said()} == {"lost"}
    assert all("does not answer any more" in line for line in said())
    for document in lost:
        assert notebooks[document].ended(30) == ["died"]
    expected = "".join(f"line {n}\n" for n in range(4 * COUNT))
    for document in set(where) - set(lost):
        notebook = notebooks[document]
        assert notebook.ended(120) == ["ok"]
        notebook.prints_all(expected)
    # And whose kernel was lost has a new one, on the node that is left.
    for _ in lost:
        again = RemoteNotebook(client, ["print('back')"]).run()
        assert again.ended() == ["ok"]
