"""Kernels stopped by administrators: some, all of a person, a team or a node, or all there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from kernels_app.models import Kernel
from kernels_app.selectors.administration import kernels_in
from kernels_app.services.kernels import stop_kernel
from zasper_hub.accounts.models import User
from zasper_hub.accounts.reach import Reach
from zasper_hub.accounts.services import audit

BY_ADMINISTRATOR = "Stopped by an administrator."


@dataclass(frozen=True, slots=True)
class Stopped:
    """`absent`: ids of no live kernel within reach."""

    stopped: list[UUID] = field(default_factory=list)
    absent: list[UUID] = field(default_factory=list)


def stop_kernels_of_ids(reach: Reach, ids: Iterable[UUID]) -> Stopped:
    """Stops those of the kernels that are within reach."""
    wanted = list(dict.fromkeys(ids))
    found = {
        kernel.pk: kernel for kernel in kernels_in(reach).filter(pk__in=wanted).select_related("project")
    }
    stop_and_note(list(found.values()), reason=BY_ADMINISTRATOR, actor=reach.user)
    return Stopped(list(found), [pk for pk in wanted if pk not in found])


def stop_chosen_kernels(reach: Reach, *, owner: str = "", team: str = "", node: str = "") -> Stopped:
    """Stops all kernels within reach that these name (all three empty: all)."""
    chosen = _chosen(kernels_in(reach), owner=owner, team=team, node=node)
    kernels = list(chosen.select_related("project"))
    stop_and_note(kernels, reason=BY_ADMINISTRATOR, actor=reach.user)
    return Stopped([kernel.pk for kernel in kernels])


def stop_kernels_of(person: User, *, reason: str, actor: User) -> int:
    """Stops all kernels that a person started; how many."""
    kernels = list(kernels_in(Reach(actor, None)).filter(user=person).select_related("project"))
    return stop_and_note(kernels, reason=reason, actor=actor)


def _chosen(kernels: QuerySet[Kernel], *, owner: str, team: str, node: str) -> QuerySet[Kernel]:
    if owner:
        kernels = kernels.filter(user__username__iexact=owner)
    if team:
        kernels = kernels.filter(project__team__slug=team)
    if node:
        kernels = kernels.filter(node_id=node)
    return kernels


@transaction.atomic
def stop_and_note(kernels: list[Kernel], *, reason: str, actor: User) -> int:
    """Stops these (with `.project`) and notes each in the audit log; how many were not being stopped already."""
    count = 0
    for kernel in kernels:
        if stop_kernel(kernel, reason=reason):
            count += 1
            audit.record(
                "kernel_stopped_by_admin",
                actor=actor,
                target=f"kernel:{kernel.pk}",
                team_id=kernel.project.team_id,
                user_id=kernel.user_id,
            )
    return count
