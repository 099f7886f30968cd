"""What the Jupyter extension of VS Code sends to a server given by its address: docs/reference/jupyter-api.md.

Played, not run: the extension needs VS Code. Its library, `@jupyterlab/services`, has a test of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.channel_client import ChannelClient, Closed
from tests.jupyter_clients.project_server import ProjectServer

pytestmark = pytest.mark.integration

# As node-fetch sends it.
_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip,deflate",
    "Connection": "keep-alive",
    "Content-Type": "application/json",
    "User-Agent": "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
}
_numbers = itertools.count(1_763_856_000_000)


class VsCode:
    """Its requests: each has a number behind the `?`, so that nothing is taken from a cache."""

    def __init__(self, server: ProjectServer, *, is_slash_typed: bool = True) -> None:
        self.base = server.url if is_slash_typed else server.url.rstrip("/")
        self.token = server.token
        self._http = httpx.Client(headers=_HEADERS, timeout=60)

    def close(self) -> None:
        self._http.close()

    def probe(self, path: str) -> httpx.Response:
        """Before it uses the token: redirects are looked at, not followed."""
        return self._http.get(f"{self.base.rstrip('/')}/{path}", headers={"Connection": "keep-alive"})

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> httpx.Response:
        return self._http.request(
            method,
            f"{self.base.rstrip('/')}/{path}?{next(_numbers)}",
            json=body,
            headers={"Authorization": f"token {token or self.token}"},
        )

    def connect(self, kernel_id: str, session_id: str, *, is_v1: bool = True) -> ChannelClient:
        """The token is in the address of the socket, and nowhere else."""
        address = f"{self.base.rstrip('/')}/api/kernels/{kernel_id}/channels"
        return ChannelClient(
            f"{address}?session_id={session_id}&token={self.token}",
            token="",
            session_id=session_id,
            is_v1=is_v1,
            timeout_s=60,
        )


@pytest.fixture(params=[True, False], ids=["with a slash", "without"])
def vscode(request: pytest.FixtureRequest, server: ProjectServer) -> Iterator[VsCode]:
    made = VsCode(server, is_slash_typed=request.param)
    yield made
    made.close()


def test_it_takes_the_server_for_one_that_has_a_token_and_is_no_jupyterhub(vscode: VsCode) -> None:
    assert "/user/" not in vscode.base.lower(), "it would ask for a JupyterHub password"
    assert vscode.probe("hub/api").status_code in (403, 404)
    # Not 200 is "needs a password", for which a token will do; and no page of the app is taken for Jupyter's.
    for path in ("tree?", "login?"):
        answer = vscode.probe(path)
        assert answer.status_code in (403, 404), path
        assert "_xsrf" not in answer.cookies
    assert vscode.ask("GET", "api").json()["version"]


def test_it_lists_kernels_kernelspecs_and_sessions(vscode: VsCode) -> None:
    kernels, specs = vscode.ask("GET", "api/kernels"), vscode.ask("GET", "api/kernelspecs")
    sessions = vscode.ask("GET", "api/sessions")
    assert [answer.status_code for answer in (kernels, specs, sessions)] == [200, 200, 200]
    assert isinstance(kernels.json(), list)
    assert isinstance(sessions.json(), list)
    found = specs.json()
    spec = found["kernelspecs"][found["default"]]
    assert spec["name"] == found["default"]
    assert {"language", "display_name", "argv", "env", "metadata"} <= set(spec["spec"])
    assert isinstance(spec["resources"], dict)


def test_a_wrong_token_is_told_as_jupyter_tells_it(vscode: VsCode) -> None:
    for path in ("api/kernels", "api/kernelspecs", "api/sessions"):
        refused = vscode.ask("GET", path, token="nonsense")
        assert (refused.status_code, sorted(refused.json())) == (403, ["message", "reason"])


def test_it_runs_a_notebook_of_its_own_machine(vscode: VsCode) -> None:
    # The notebook is not in the project: path and name only have to be unlike all others.
    path, name = f"report-jvsc-{uuid4()}.ipynb", f"report-{uuid4()}.ipynb"
    asked = {"path": path, "type": "notebook", "name": name, "kernel": {"name": "python3"}}
    started = vscode.ask("POST", "api/sessions", asked)
    assert started.status_code == 201, started.text
    session = started.json()
    kernel_id = session["kernel"]["id"]
    assert {key: session[key] for key in ("path", "type", "name")} == {
        "path": path,
        "type": "notebook",
        "name": name,
    }
    assert started.headers["Location"].endswith(f"/api/sessions/{session['id']}")
    assert vscode.ask("POST", "api/sessions", asked).json()["id"] == session["id"], "the same once more"
    assert session["id"] in [one["id"] for one in vscode.ask("GET", "api/sessions").json()]

    session_id = str(uuid4())
    with vscode.connect(kernel_id, session_id) as socket:
        assert "sec-websocket-protocol: v1.kernel.websocket.jupyter.org" in socket.response_head.lower()
        info = socket.replies_to(socket.send("kernel_info_request", {}))
        [reply] = [one for one in info if one.type == "kernel_info_reply"]
        assert reply.content["language_info"]["name"] == "python"
        outputs = socket.replies_to(socket.execute("print('from VS Code'); 6 * 7"))
        assert [one.content["text"] for one in outputs if one.type == "stream"] == ["from VS Code\n"]
        assert [one.content["data"] for one in outputs if one.type == "execute_result"] == [
            {"text/plain": "42"}
        ]
        # Every 30 s it asks whether the connection lives.
        socket.send_frame(0x9, b"still there?")
        while (frame := socket.receive_frame())[0] != 0xA:
            if frame[0] == 0x9:
                socket.send_frame(0xA, frame[1])
        assert frame[1] == b"still there?"
        # Interrupt
        endless = socket.execute("import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.05)")
        while socket.receive().type != "stream":
            pass
        assert vscode.ask("POST", f"api/kernels/{kernel_id}/interrupt").status_code == 204
        while (message := socket.receive()).parent_id != endless or message.type != "execute_reply":
            pass
        assert message.content["ename"] == "KeyboardInterrupt"

    # Restart: the model comes back, the socket of the same client is opened anew.
    restarted = vscode.ask("POST", f"api/kernels/{kernel_id}/restart")
    assert (restarted.status_code, restarted.json()["id"]) == (200, kernel_id)
    with vscode.connect(kernel_id, session_id, is_v1=False) as socket:
        outputs = socket.replies_to(socket.execute("print('time' in dir())"))
        assert [one.content["text"] for one in outputs if one.type == "stream"] == ["False\n"]

    # VS Code was closed and opened: "Connect to a running kernel".
    model = next(one for one in vscode.ask("GET", "api/kernels").json() if one["id"] == kernel_id)
    assert model["name"] == "python3"
    assert {"last_activity", "execution_state", "connections"} <= set(model)
    assert vscode.ask("GET", f"api/kernels/{kernel_id}").json()["id"] == kernel_id
    with vscode.connect(kernel_id, str(uuid4())) as socket:
        assert socket.replies_to(socket.execute("1"))

    assert vscode.ask("DELETE", f"api/sessions/{session['id']}").status_code == 204
    assert vscode.ask("DELETE", f"api/sessions/{session['id']}").status_code == 404
    assert kernel_id not in [one["id"] for one in vscode.ask("GET", "api/kernels").json()]
    with pytest.raises(Closed) as refused:
        vscode.connect(kernel_id, session_id)
    assert refused.value.code in (403, 404)


def test_older_ones_make_a_notebook_file_for_each_session(vscode: VsCode) -> None:
    made = vscode.ask("POST", "api/contents", {"type": "notebook"})
    assert made.status_code == 201, made.text
    path = f"report-jvsc-{uuid4()}.ipynb"
    moved = vscode.ask("PATCH", f"api/contents/{made.json()['path']}", {"path": path})
    assert (moved.status_code, moved.json()["path"]) == (200, path)
    assert vscode.ask("DELETE", f"api/contents/{path}").status_code == 204


def test_a_console_has_a_session_too(vscode: VsCode) -> None:
    path = f"Interactive-1-jvsc-{uuid4()}.ipynb"
    asked = {"path": path, "type": "console", "name": "Interactive-1", "kernel": {"name": "python3"}}
    session = vscode.ask("POST", "api/sessions", asked).json()
    assert (session["type"], session["path"], session["name"]) == ("console", path, "Interactive-1")
    assert vscode.ask("DELETE", f"api/sessions/{session['id']}").status_code == 204
