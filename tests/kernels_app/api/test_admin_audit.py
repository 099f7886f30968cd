"""The admin API of the audit log."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import HttpCommunicator
from django.utils import timezone

from tests.asking import Asking
from tests.cast import Cast, headers_of, make_cast
from zasper_hub.accounts.models import AuditEvent, Team, TeamMembership, TeamRole
from zasper_hub.accounts.services import audit
from zasper_hub.asgi import application

AUDIT = "/api/hub/v1/admin/audit"


@pytest.fixture
def root(cast: Cast) -> Asking:
    asking = Asking(cast.admin)
    AuditEvent.objects.all().delete()
    return asking


def actions(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["action"] for item in answer.json()["items"]]


def test_events_are_found_by_person_action_target_and_time(cast: Cast, root: Asking) -> None:
    audit.record("share", actor=cast.alice, target=f"project:{cast.project.pk}", address="10.0.0.7")
    audit.record("sign_in", actor=cast.bob, target=f"user:{cast.bob.pk}")
    cast.bob.acted_by = cast.admin
    audit.record("run", actor=cast.bob, target="document:x")
    assert actions(root.get(AUDIT)) == ["run", "sign_in", "share"]
    assert actions(root.get(AUDIT, sort="at")) == ["share", "sign_in", "run"]
    assert actions(root.get(AUDIT, actor="BOB")) == ["run", "sign_in"]
    assert actions(root.get(AUDIT, actor="root")) == ["run"]
    assert actions(root.get(AUDIT, action="share")) == ["share"]
    assert actions(root.get(AUDIT, target=f"project:{cast.project.pk}")) == ["share"]
    assert actions(root.get(AUDIT, target="user")) == ["sign_in"]
    assert actions(root.get(AUDIT, search="docum")) == ["run"]
    soon = (timezone.now() + timedelta(minutes=1)).isoformat()
    assert actions(root.get(AUDIT, since=soon)) == []
    assert len(actions(root.get(AUDIT, until=soon))) == 3
    assert root.get(AUDIT, since="yesterday").status_code == 422
    shared = root.get(AUDIT, action="share").json()["items"][0]
    assert shared["target"] == {"kind": "project", "id": str(cast.project.pk), "name": "Analysis"}
    assert (shared["actor"], shared["address"]) == ("alice", "10.0.0.7")
    run = root.get(AUDIT, action="run").json()["items"][0]
    assert (run["actor"], run["acting_administrator"]) == ("bob", "root")
    assert root.get(f"{AUDIT}/actions").json() == ["run", "share", "sign_in"]


def test_who_did_it_stays_readable_when_the_account_is_gone(cast: Cast, root: Asking) -> None:
    audit.record("share", actor=cast.mallory)
    cast.mallory.delete()
    assert root.get(AUDIT, actor="mallory").json()["items"][0]["actor"] == "mallory"


def test_a_team_administrator_sees_the_team_s_events_only(cast: Cast, root: Asking) -> None:
    lab = Team.objects.create(slug="lab", name="Lab")
    TeamMembership.objects.create(team=lab, user=cast.alice, role=TeamRole.ADMIN)
    audit.record("share", actor=cast.bob, team_id=lab.pk)
    audit.record("sign_in", actor=cast.bob)
    alice = Asking(cast.alice)
    assert actions(alice.get(AUDIT)) == ["share"]
    assert actions(alice.get(AUDIT, action="sign_in")) == []
    assert alice.get(f"{AUDIT}/actions").json() == ["share"]


@pytest.mark.django_db(transaction=True)
async def test_the_file_has_every_event_and_runs_nothing_in_a_spreadsheet() -> None:
    in_thread = database_sync_to_async
    cast = await in_thread(make_cast)()

    def fill() -> dict[str, str]:
        headers = headers_of(cast.admin)
        AuditEvent.objects.all().delete()
        audit.record("=cmd|' /C calc'!A0", actor=cast.alice, target='user:\u00e9,"1"\n', path="@SUM(1)")
        AuditEvent.objects.bulk_create(AuditEvent(action="run", actor_name="+1") for _ in range(2_500))
        return headers

    headers = await in_thread(fill)()
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    asking = HttpCommunicator(application, "GET", f"{AUDIT}.csv?limit=1", headers=sent)
    await asking.send_input({"type": "http.request", "body": b""})
    answer = await asking.receive_output(timeout=30)
    assert answer["status"] == 200
    parts: list[bytes] = []
    has_more = True
    while has_more:
        part = await asking.receive_output(timeout=30)
        parts.append(part.get("body", b""))
        has_more = part.get("more_body", False)
    shown = {name.lower(): value for name, value in answer["headers"]}
    assert b"attachment" in shown[b"content-disposition"]
    rows = list(csv.reader(io.StringIO(b"".join(parts).decode("utf-8-sig"))))
    assert len(parts) > 3  # in parts: the log may be longer than the memory
    assert len(rows) == 1 + 2_502  # the header, and the download itself is an event too
    assert rows[1][3] == "audit_downloaded"
    assert rows[2][1] == "'+1"
    assert rows[-1][3].startswith("'=cmd")
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
