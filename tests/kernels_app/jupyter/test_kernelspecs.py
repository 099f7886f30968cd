"""`api/kernelspecs`, logos and `api/status`, as the nodes that are up tell them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from kernels_app.bus.envelopes import KernelSpecInfo
from kernels_app.bus.identifiers import kernelspec_resource_key
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.relay_envelopes import connections_key
from kernels_app.models import Kernel, KernelState
from notebooks_app.models import Project
from tests.cast import Cast
from tests.kernels_app.scripted_node import ScriptedNode
from tests.notebooks_app.jupyter.server import Server

PNG = b"\x89PNG\r\n\x1a\n"
PYTHON = KernelSpecInfo(
    "python3", "Python 3", "python", argv=["python", "{connection_file}"], resources=["logo-64x64.png"]
)
OTHER = KernelSpecInfo("my kernel", "Mine", "julia")


@pytest.fixture
def carol(cast: Cast) -> Server:
    return Server(cast, cast.carol)


def test_the_kernelspecs_of_all_nodes_are_listed(carol: Server, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, "one", kernelspecs=[PYTHON])
    ScriptedNode(hub_wire, "two", kernelspecs=[OTHER])
    answer = carol.call("GET", "api/kernelspecs").json()
    assert answer["default"] == "python3"
    assert set(answer["kernelspecs"]) == {"my kernel", "python3"}
    model = answer["kernelspecs"]["python3"]
    assert model["name"] == "python3"
    assert model["spec"]["argv"] == ["python", "{connection_file}"]
    assert model["resources"] == {"logo-64x64": "/jupyter/alice/analysis/kernelspecs/python3/logo-64x64.png"}
    assert carol.call("GET", "api/kernelspecs/python3").json() == model
    assert carol.call("GET", "api/kernelspecs/my%20kernel").status_code == 200


def test_without_a_node_there_is_no_kernelspec(carol: Server, hub_wire: MemoryStore) -> None:
    answer = carol.call("GET", "api/kernelspecs").json()
    assert answer == {"default": "python3", "kernelspecs": {}}
    assert carol.call("GET", "api/kernelspecs/python3").status_code == 404


def test_the_default_is_one_that_there_is(carol: Server, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, "one", kernelspecs=[OTHER])
    assert carol.call("GET", "api/kernelspecs").json()["default"] == "my kernel"


def test_a_logo_is_a_picture_and_nothing_more(carol: Server, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, "one", kernelspecs=[PYTHON])
    path = "kernelspecs/python3/logo-64x64.png"
    assert carol.call("GET", path).status_code == 404, "it is not on the wire yet"
    hub_wire.put_value(kernelspec_resource_key("python3", "logo-64x64.png"), PNG, None)
    answer = carol.call("GET", path)
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, PNG, "image/png")
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert carol.call("HEAD", path).status_code == 200
    for other in ("kernel.json", "logo-32x32.png", "..%2fkernel.json"):
        assert carol.call("GET", f"kernelspecs/python3/{other}").status_code == 404
    assert carol.call("GET", "kernelspecs/nope/logo-64x64.png").status_code == 404


def test_without_the_wire_the_answer_is_to_try_again(carol: Server, hub_wire: MemoryStore) -> None:
    hub_wire.set_down(True)
    answer = carol.call("GET", "api/kernelspecs")
    assert (answer.status_code, set(answer.json())) == (503, {"message", "reason"})
    assert answer["Retry-After"]
    hub_wire.set_down(False)


def test_the_status_is_that_of_the_project(cast: Cast, carol: Server, hub_wire: MemoryStore) -> None:
    other = Project.objects.create(team=cast.mallory.personal_team, slug="own", name="Own")
    for project, state in (
        (cast.project, KernelState.IDLE),
        (cast.project, KernelState.PENDING),
        (cast.project, KernelState.STOPPING),
        (cast.project, KernelState.STOPPED),
        (other, KernelState.IDLE),
    ):
        kernel = Kernel.objects.create(
            project=project, kernelspec_name="python3", state=state, last_activity_at=timezone.now()
        )
        if state != KernelState.PENDING:
            hub_wire.put_field(connections_key(), str(kernel.pk), b"2")
    status = carol.call("GET", "api/status").json()
    assert (status["kernels"], status["connections"]) == (2, 2)
    assert set(status) == {"connections", "kernels", "last_activity", "started"}
