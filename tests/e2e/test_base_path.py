"""A hub below `/hub` on a host that another program has too, from the first page to the last."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.channel_client import ChannelClient
from tests.e2e.conftest import sign_in
from tests.e2e.pages import NotebookPage, make_project, project_url, upload
from tests.live_hub import ADMIN, LiveHub, running_hub, wait_for
from tests.notebook_files import notebook_file

BASE_PATH = "/hub"
FRAMED = (
    "from IPython.display import HTML\n"
    'HTML(\'<p id=x>no</p><script>document.getElementById("x").textContent = "drawn"</script>\')'
)


@pytest.fixture(scope="module")
def hub_below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with running_hub(tmp_path_factory.mktemp("hub") / "data", HUB_BASE_PATH=BASE_PATH) as started:
        yield started


def test_a_person_meets_nothing_outside_the_path(hub_below: LiveHub, browser: Browser) -> None:
    client = hub_below.client()
    project = make_project(client, "Shared host")
    upload(client, project, "a.ipynb", notebook_file("print(6 * 7)", FRAMED))
    host = urlsplit(hub_below.url).netloc
    context = browser.new_context()
    context.set_default_timeout(20_000)
    # Of the other program: the browser sends them to the hub too.
    for name in ("sessionid", "csrftoken"):
        context.add_cookies([{"name": name, "value": "another-program", "domain": "127.0.0.1", "path": "/"}])
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    try:
        sign_in(page, hub_below)
        assert urlsplit(page.url).path == f"{BASE_PATH}/"
        page.get_by_role("link", name="Shared host").click()
        page.wait_for_url(project_url(hub_below, project))

        notebook = NotebookPage(page, hub_below, project, "a.ipynb").open()
        notebook.run_all()
        notebook.wait_until_done("cell-1", 2)
        expect(notebook.cell("cell-0")).to_contain_text("42")
        framed = notebook.cell("cell-1").frame_locator(".out-frame iframe")
        expect(framed.locator("#x")).to_have_text("drawn")

        page.get_by_role("button", name=f"Account of {ADMIN}").click()
        page.get_by_role("menuitem", name="Admin panel").click()
        page.wait_for_url(f"{hub_below.url}/admin")
        page.get_by_role("navigation").get_by_role("link", name="People").click()
        expect(page.locator(f"a[href='{BASE_PATH}/admin/people/{ADMIN}']")).to_be_visible()
        page.reload()
        expect(page.locator(f"a[href='{BASE_PATH}/admin/people/{ADMIN}']")).to_be_visible()

        page.get_by_role("button", name=f"Account of {ADMIN}").click()
        page.get_by_role("menuitem", name="Sign out").click()
        page.wait_for_url(f"{hub_below.url}/accounts/login/")
        page.goto(f"{hub_below.url}/usage")
        assert page.url == f"{hub_below.url}/accounts/login/?next={BASE_PATH}/usage"

        of_the_hub = [urlsplit(url) for url in asked if urlsplit(url).netloc == host]
        assert {parts.scheme for parts in of_the_hub} == {"http", "ws"}
        assert [parts.path for parts in of_the_hub if not parts.path.startswith(f"{BASE_PATH}/")] == []
        assert {"/hub/ws/documents", "/hub/ws/runs", "/hub/ws/projects"} <= {
            parts.path.rpartition("/")[0] for parts in of_the_hub if parts.scheme == "ws"
        }
        ours = {
            str(cookie["name"]): cookie
            for cookie in context.cookies()
            if cookie["value"] != "another-program"
        }
        assert {cookie["path"] for cookie in ours.values()} <= {f"{BASE_PATH}/", f"{BASE_PATH}/jupyter/"}
        assert "csrftoken.hub" in ours
    finally:
        context.close()


def test_a_jupyter_client_has_its_address_below_the_path(hub_below: LiveHub) -> None:
    token = hub_below.token()
    with hub_below.client() as client:
        project = make_project(client, "Clients")
    path = f"{BASE_PATH}/jupyter/{project['team']}/{project['slug']}/"
    url = project["jupyter_url"]
    assert url == f"http://127.0.0.1:{hub_below.port}{path}"
    headers = {"Authorization": f"token {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, follow_redirects=True) as server:
        specs = wait_for("python3 is offered", lambda: server.get("api/kernelspecs").json()["kernelspecs"])
        for resource in specs["python3"]["resources"].values():
            assert resource.startswith(f"{path}kernelspecs/")
            assert server.get(f"http://127.0.0.1:{hub_below.port}{resource}").is_success
        assert server.get(f"{url}/api/kernels").json() == []
        started = server.post("api/kernels", json={"name": "python3"})
        assert started.status_code == 201
        kernel_id = started.json()["id"]
        assert started.headers["Location"] == f"{path}api/kernels/{kernel_id}"
        channels = ChannelClient(f"{url}api/kernels/{kernel_id}/channels", token=token, timeout_s=60)
        replies = channels.replies_to(channels.execute("print(6 * 7)"))
        assert [reply.content["text"] for reply in replies if reply.type == "stream"] == ["42\n"]
        channels.abandon()
        assert server.delete(f"api/kernels/{kernel_id}").status_code == 204


def test_the_rest_of_the_host_is_not_the_hub_s(hub_below: LiveHub) -> None:
    host = f"http://127.0.0.1:{hub_below.port}"
    for path in ("/accounts/login/", "/api/hub/v1/me", "/static/hub/plain.css", "/hubs/", "//hub/"):
        answer = httpx.get(f"{host}{path}")
        assert (answer.status_code, answer.text) == (404, "The hub is at /hub/\n"), path
    for path in ("/", "/hub"):
        answer = httpx.get(f"{host}{path}")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/hub/"), path
    for path in ("/healthz", "/readyz", "/hub/healthz", "/hub/readyz"):
        assert httpx.get(f"{host}{path}").status_code == 200, path
    printed = hub_below.output_path.read_text(encoding="utf-8")
    assert f"Zasper Hub is ready: {hub_below.url} " in printed
