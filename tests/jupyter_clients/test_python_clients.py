"""Programs people have, with nothing of them changed: jupyter_kernel_client, nbclient, papermill, `jupyter lab`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.channel_client import ChannelClient, Closed
from tests.jupyter_clients.project_server import JupyterLab, ProjectServer, run_client
from tests.live_hub import wait_for

pytestmark = pytest.mark.integration


def test_jupyter_kernel_client_runs_code_and_restarts(server: ProjectServer) -> None:
    seen = run_client("kernel_client.py", server.url, server.token)
    assert seen["sum"]["outputs"][0]["data"]["text/plain"] == "42"
    assert seen["printed"]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "0\n1\n2\n"}]
    assert seen["failed"] == "ZeroDivisionError"
    assert "Ada\n" in seen["asked"]["outputs"][-1]["text"]
    assert seen["after_restart"]["outputs"][-1]["text"] == "fresh\n"
    assert seen["id"] not in server.kernel_ids(), "it stopped its kernel at its end"


def test_nbclient_and_papermill_run_notebooks_in_the_project(server: ProjectServer, tmp_path: Path) -> None:
    seen = run_client("notebook_clients.py", str(tmp_path), environment=server.gateway_environment())
    printed, shown, long = seen["nbclient"]
    assert printed == [{"output_type": "stream", "name": "stdout", "text": "hi 42\n"}]
    assert shown[0]["data"] == {"text/plain": "'b'"}
    assert len(long[0]["data"]["text/plain"]) == 300_002
    assert seen["failure"] == "ZeroDivisionError"
    assert seen["papermill"][-1][0]["text"] == "Ada\n"
    assert server.http.get("files/made.txt").text == "by nbclient"
    wait_for("all their kernels are stopped", lambda: not server.kernel_ids() or None)


def test_the_address_for_sockets_alone_opens_nothing_without_a_right_token(server: ProjectServer) -> None:
    kernel_id = server.http.post("api/kernels", json={}).json()["id"]
    base, path = server.url.rstrip("/"), f"/api/kernels/{kernel_id}/channels"
    for address in (
        f"{base}?path={path}",
        f"{base}?token=zh_00000000_nonsense&path={path}",
        f"{base}?token={server.token}",
        f"{base}?token={server.token}&path=/api/kernels/../x/channels",
        f"{base}?token={server.token}&path=/terminals/websocket/1",
    ):
        with pytest.raises(Closed) as refused:
            ChannelClient(address, token="", session_id=None, is_v1=False, timeout_s=10)
        assert refused.value.code in (401, 403, 404), address
    address = f"{base}?token={server.token}&path={path}?session_id=me"
    with ChannelClient(address, token="", session_id=None, is_v1=False, timeout_s=30) as client:
        assert client.replies_to(client.execute("1"))
    server.http.delete(f"api/kernels/{kernel_id}")


def test_jupyter_lab_uses_the_project_as_its_gateway(server: ProjectServer, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    lab = JupyterLab(folder, server.url, server.token)
    with lab.running() as client:
        specs = client.get("api/kernelspecs").json()
        assert specs["default"] == "python3"
        logo = client.get(specs["kernelspecs"]["python3"]["resources"]["logo-64x64"])
        assert (logo.status_code, logo.content[:4]) == (200, b"\x89PNG")
        started = client.post("api/sessions", json={"path": "a.ipynb", "type": "notebook", "kernel": {}})
        assert started.status_code == 201, started.text
        kernel_id = started.json()["kernel"]["id"]
        assert kernel_id in server.kernel_ids()
        assert kernel_id in {kernel["id"] for kernel in client.get("api/kernels").json()}
        with lab.connect(kernel_id) as channels:
            messages = channels.replies_to(channels.execute("print('over the gateway')"))
        assert [m.content["text"] for m in messages if m.type == "stream"] == ["over the gateway\n"]
        assert client.post(f"api/kernels/{kernel_id}/interrupt").status_code == 204
        assert client.post(f"api/kernels/{kernel_id}/restart").status_code == 200
        assert client.delete(f"api/sessions/{started.json()['id']}").status_code == 204
        assert kernel_id not in server.kernel_ids()
