"""Rows as the admin API shows them: docs/reference/admin-api.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kernels_app.api.administration.schemas import Row
from kernels_app.bus.envelopes import NodeInfo
from kernels_app.models import Kernel, KernelState, Node
from kernels_app.selectors.administration import is_online, memberships_of_people
from kernels_app.services.departures import Removed
from kernels_app.services.waiting import queue_positions
from zasper_hub.accounts.models import TeamMembership, User
from zasper_hub.accounts.reach import Reach
from zasper_hub.accounts.services.people_administration import person_version
from zasper_hub.accounts.services.teams import team_version


def shaped_kernels(kernels: list[Kernel]) -> list[Row]:
    waits = any(kernel.state == KernelState.PENDING and kernel.node_id is None for kernel in kernels)
    positions = queue_positions() if waits else {}
    return [_kernel(kernel, positions.get(kernel.pk)) for kernel in kernels]


def _kernel(kernel: Kernel, queue_position: int | None) -> Row:
    project, document, owner = kernel.project, kernel.document, kernel.user
    return {
        "id": kernel.pk,
        "kernelspec_name": kernel.kernelspec_name,
        "state": kernel.state,
        "reason": kernel.reason,
        "owner": None if owner is None else {"username": owner.username, "display_name": owner.shown_name},
        "team": project.team.slug,
        "project": {"id": project.pk, "team": project.team.slug, "slug": project.slug, "name": project.name},
        "document": None if document is None else {"id": document.pk, "path": document.path},
        "node": kernel.node_id,
        "memory_bytes": kernel.memory_bytes,
        "memory_limit_bytes": kernel.memory_limit_bytes,
        "cpu_cores": kernel.cpu_cores,
        "cpu_limit_cores": kernel.cpu_limit_cores,
        "created_at": kernel.created_at,
        "last_activity_at": kernel.last_activity_at,
        "idle_since": kernel.last_activity_at if kernel.state == KernelState.IDLE else None,
        "queue_position": queue_position,
    }


def shaped_people(people: list[User], reach: Reach) -> list[Row]:
    memberships = memberships_of_people(people, reach)
    return [_person(person, memberships[person.pk], reach) for person in people]


def _person(person: Any, memberships: list[TeamMembership], reach: Reach) -> Row:
    return {
        "username": person.username,
        "display_name": person.shown_name,
        "email": person.email if reach.is_hub else None,
        # Of the account, not of a team.
        "is_administrator": person.is_staff if reach.is_hub else None,
        "is_active": person.is_active if reach.is_hub else None,
        "is_online": is_online(person) if reach.is_hub else None,
        "teams": [
            {
                "slug": membership.team.slug,
                "name": membership.team.name,
                "role": membership.role,
                "is_personal": membership.team.personal_of_id is not None,
            }
            for membership in memberships
        ],
        "kernel_count": person.kernel_count,
        "memory_bytes": _whole(person.memory_bytes),
        "storage_bytes": person.storage_bytes if reach.is_hub else None,
        "last_seen_at": person.last_seen_at if reach.is_hub else None,
        "created_at": person.date_joined,
        "version": person_version(person),
    }


def shaped_teams(teams: list[Any]) -> list[Row]:
    return [
        {
            "slug": team.slug,
            "name": team.name,
            "is_personal": team.personal_of_id is not None,
            "member_count": team.member_count,
            "administrator_count": team.administrator_count,
            "project_count": team.project_count,
            "kernel_count": team.kernel_count,
            "memory_bytes": _whole(team.memory_bytes),
            "storage_bytes": team.storage_bytes,
            "created_at": team.created_at,
            "version": team_version(team),
        }
        for team in teams
    ]


def member(membership: TeamMembership) -> Row:
    person = membership.user
    return {
        "username": person.username,
        "display_name": person.shown_name,
        "role": membership.role,
        "is_active": person.is_active,
        "joined_at": membership.created_at,
    }


def removed(gone: Removed) -> Row:
    return {
        "stopped_kernels": gone.stopped_kernels,
        "projects": [
            {"id": project.project_id, "name": project.name, "outcome": project.outcome, "to": project.to}
            for project in gone.projects
        ],
    }


def shaped_nodes(
    nodes: list[Node], live: dict[str, NodeInfo], figures: dict[str, dict[str, Any]]
) -> list[Row]:
    return [_node(node, live.get(node.node_id), figures.get(node.node_id, {})) for node in nodes]


_IN_USE = ("used_bytes", "reserved_bytes", "used_cores")


def _node(node: Node, registered: NodeInfo | None, figures: dict[str, Any]) -> Row:
    """What it says of itself now, else what it said when it started."""
    said = dict(node.info) if registered is None else _as_dict(registered)
    memory_bytes = said.get("memory_bytes")
    if node.state != "lost":  # what nobody uses is known: it is nothing
        figures = {**figures, **{name: figures.get(name) or 0 for name in _IN_USE}}
    return {
        "id": node.node_id,
        "state": node.state,
        "drain_at": node.drain_at,
        "provisioner": said.get("provisioner"),
        "isolation": said.get("isolation") or None,
        "labels": {str(name): str(value) for name, value in (said.get("labels") or {}).items()},
        "kernelspecs": [spec["name"] for spec in said.get("kernelspecs") or []],
        "kernel_count": figures.get("count", 0),
        "slot_count": said.get("slot_count"),
        "memory_total_bytes": memory_bytes,
        "memory_used_bytes": _whole(figures.get("used_bytes")),
        "memory_reserved_bytes": _whole(figures.get("reserved_bytes")),
        "cpu_total": said.get("cpu_count"),
        "cpu_used": figures.get("used_cores"),
        "registered_at": node.registered_at,
        "last_seen_at": node.last_seen_at,
        "warnings": [str(text) for text in said.get("warnings") or []],
        "is_demo": bool(said.get("demo")),
    }


def _as_dict(info: NodeInfo) -> dict[str, Any]:
    said: dict[str, Any] = {name: getattr(info, name) for name in info.__struct_fields__}
    said["kernelspecs"] = [{"name": spec.name} for spec in info.kernelspecs]
    return said


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def seconds_since(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else round((now - moment).total_seconds(), 1)
