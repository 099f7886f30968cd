"""The hub API of runs and kernels, through Django's test client."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import Client

from kernels_app.bus.envelopes import Execute, InterruptKernel, RestartKernel, StartKernel, StopKernel
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import DailyUsage, Kernel, Run
from kernels_app.services.usage import roll_up
from notebooks_app.models import Document
from tests.cast import Cast, headers_of, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import User
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota

pytestmark = pytest.mark.django_db(transaction=True)

BASE = "/api/hub/v1"
ABSENT = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return make_cast()


@pytest.fixture
def document(cast: Cast, hub_wire: MemoryStore) -> Document:
    return make_document(cast, "1", "2")


def call(user: User, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = Client(headers=headers_of(user)).generic(
        method,
        f"{BASE}/{path}",
        data="" if body is None else json.dumps(body),
        content_type="application/json",
    )
    return response.status_code, json.loads(response.content) if response.content else None


def code_of(answer: Any) -> str:
    code: str = answer["error"]["code"]
    return code


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"cells": "some"},
        {"cells": []},
        {"cells": [""]},
        {"cells": ["x" * 65]},
        {"cells": [1]},
        {"cells": "all", "request_id": ""},
        {"cells": "all", "request_id": "x" * 65},
        [],
        "all",
    ],
)
def test_a_bad_body_is_refused(cast: Cast, document: Document, hub_wire: MemoryStore, body: Any) -> None:
    ScriptedNode(hub_wire)
    status, answer = call(cast.alice, "POST", f"documents/{document.pk}/runs", body)
    assert (status, code_of(answer)) == (422, "invalid")
    assert not Run.objects.exists()


def test_who_may_not_know_of_it_gets_404_and_a_viewer_403(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    ScriptedNode(hub_wire)
    for path in (f"documents/{document.pk}/runs", f"documents/{document.pk}/restart"):
        assert call(cast.mallory, "POST", path, {"cells": "all"})[0] == 404
        assert call(cast.carol, "POST", path, {"cells": "all"})[0] == 403
    assert call(cast.alice, "POST", f"documents/{ABSENT}/runs", {"cells": "all"})[0] == 404
    assert call(cast.alice, "POST", "documents/nonsense/runs", {"cells": "all"})[0] == 404
    assert call(cast.alice, "DELETE", f"kernels/{ABSENT}")[0] == 404
    assert not Kernel.objects.exists()


def test_without_a_node_503_says_so(cast: Cast, document: Document) -> None:
    status, answer = call(cast.alice, "POST", f"documents/{document.pk}/runs", {"cells": "all"})
    assert (status, code_of(answer)) == (503, "no_node")
    assert call(cast.alice, "GET", "kernelspecs") == (200, [])


def test_an_unknown_kernelspec_or_cell_is_422_with_its_name(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    ScriptedNode(hub_wire)
    status, answer = call(cast.alice, "PUT", f"documents/{document.pk}/kernel", {"kernelspec_name": "cobol"})
    assert (status, code_of(answer)) == (422, "unknown_kernelspec")
    assert answer["error"]["details"]["available"] == ["deno", "python3"]
    status, answer = call(cast.alice, "POST", f"documents/{document.pk}/runs", {"cells": ["nope"]})
    assert (status, code_of(answer)) == (422, "unknown_cell")


def test_interrupting_nothing_is_409(cast: Cast, document: Document) -> None:
    status, answer = call(cast.alice, "POST", f"documents/{document.pk}/interrupt")
    assert (status, code_of(answer)) == (409, "kernel_not_running")


def test_the_wire_away_is_503(cast: Cast, document: Document, hub_wire: MemoryStore) -> None:
    hub_wire.set_down(True)
    status, answer = call(cast.alice, "POST", f"documents/{document.pk}/runs", {"cells": ["c1"]})
    assert (status, code_of(answer)) == (503, "unavailable")


def test_runs_start_without_a_browser_and_are_listed(
    cast: Cast, document: Document, hub_wire: MemoryStore
) -> None:
    node = ScriptedNode(hub_wire)
    body = {"cells": "all", "request_id": "nightly", "stop_on_error": False}
    status, answer = call(cast.bob, "POST", f"documents/{document.pk}/runs", body)
    assert status == 202
    assert len(answer["run_ids"]) == 2
    assert call(cast.bob, "POST", f"documents/{document.pk}/runs", body) == (202, answer), "the same request"
    start, execute, *_ = node.commands()
    assert isinstance(start, StartKernel)
    assert isinstance(execute, Execute)
    assert execute.stop_on_error is False
    assert answer["kernel_id"] == start.kernel_id
    status, runs = call(cast.carol, "GET", f"documents/{document.pk}/runs?limit=1")
    assert status == 200
    [run] = runs
    assert (run["cell_id"], run["state"], run["request_id"], run["user"]) == (
        "c2",
        "queued",
        "nightly",
        "bob",
    )
    assert "source" not in run
    assert call(cast.carol, "GET", f"documents/{document.pk}/runs?limit=0")[0] == 422


def test_a_kernels_life_by_rest(cast: Cast, document: Document, hub_wire: MemoryStore) -> None:
    node = ScriptedNode(hub_wire)
    status, started = call(cast.alice, "PUT", f"documents/{document.pk}/kernel", {"kernelspec_name": "deno"})
    assert status == 202
    node.commands()
    assert call(cast.bob, "GET", "kernels") == (200, []), "not his"
    status, [kernel] = call(cast.alice, "GET", "kernels")
    assert kernel["id"] == started["kernel_id"]
    assert (kernel["kernelspec_name"], kernel["state"], kernel["node"]) == ("deno", "pending", "node-a")
    assert kernel["document"] == {"id": str(document.pk), "path": "work/notebook.ipynb"}
    assert kernel["project"]["slug"] == "analysis"
    assert call(cast.alice, "POST", f"documents/{document.pk}/interrupt")[0] == 202
    assert call(cast.alice, "POST", f"documents/{document.pk}/restart")[0] == 202
    assert call(cast.carol, "DELETE", f"kernels/{kernel['id']}")[0] == 403
    assert call(cast.mallory, "DELETE", f"kernels/{kernel['id']}")[0] == 404
    assert call(cast.bob, "DELETE", f"kernels/{kernel['id']}")[0] == 202
    assert call(cast.bob, "DELETE", f"kernels/{kernel['id']}")[0] == 202, "a second time does no harm"
    kinds = [type(command) for command in node.commands()]
    assert kinds == [InterruptKernel, RestartKernel, StopKernel]


def test_kernelspecs_of_the_nodes_that_are_up(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire)
    status, specs = call(cast.carol, "GET", "kernelspecs")
    assert status == 200
    assert {"name": "python3", "display_name": "Python 3", "language": "python"} in specs


def test_usage_tells_limits_and_what_is_used(cast: Cast, document: Document, hub_wire: MemoryStore) -> None:
    set_quota(Level.SITE, Quota.MAX_KERNELS, 3, actor=cast.admin)
    ScriptedNode(hub_wire)
    call(cast.alice, "POST", f"documents/{document.pk}/runs", {"cells": "all"})
    uses = {use["quota"]: use for use in call(cast.alice, "GET", "usage")[1]}
    assert (uses["max_kernels"]["used"], uses["max_kernels"]["limit"]) == (1, 3)
    uses = {use["quota"]: use for use in call(cast.bob, "GET", "usage")[1]}
    assert uses["max_kernels"]["used"] == 0


# The roll-up


def at(hour: int, day: int = 10) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def test_a_days_use_is_the_part_of_each_run_and_kernel_in_it(cast: Cast, document: Document) -> None:
    kernel = Kernel.objects.create(
        project=cast.project, document=document, user=cast.alice, kernelspec_name="python3", state="stopped",
        ready_at=at(22, 9), ended_at=at(2),
    )  # fmt: skip
    Kernel.objects.filter(pk=kernel.pk).update(created_at=at(21, 9))
    for number, (begins, ends) in enumerate([(at(23, 9), at(1)), (at(1), at(2))]):
        Run.objects.create(
            document=document, kernel=kernel, user=cast.alice, request_id=str(number), cell_id="c1", position=0,
            source_sha256="", state="ok", started_at=begins, finished_at=ends,
        )  # fmt: skip
    for _ in range(2):  # once more changes nothing
        assert roll_up(date(2026, 3, 10)) == 1
    use = DailyUsage.objects.get(user=cast.alice, day=date(2026, 3, 10))
    assert (use.kernel_seconds, use.run_seconds, use.run_count) == (7_200, 7_200, 1)
    roll_up(date(2026, 3, 9))
    use = DailyUsage.objects.get(user=cast.alice, day=date(2026, 3, 9))
    assert (use.kernel_seconds, use.run_seconds, use.run_count) == (7_200, 3_600, 1)
    assert roll_up(date(2026, 3, 11)) == 0
