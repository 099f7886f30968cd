"""On which nodes a team's kernels and terminals may run: an administrator of the hub says so by labels of nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.db import transaction

from kernels_app.errors import Invalid
from kernels_app.models import TeamPlacement
from kernels_app.services.queue import fill_places_soon
from zasper_hub.accounts.models import Team, User
from zasper_hub.accounts.services import audit

MOST_LABELS = 20
LONGEST_LABEL = 63
# As in NODE_LABELS: docs/reference/settings.md
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")


def node_labels_of(team: Team) -> dict[str, str]:
    """The labels that a node must have for the team's kernels; none: every node may run them."""
    placement = TeamPlacement.objects.filter(team=team).first()
    return (
        {} if placement is None else {str(name): str(value) for name, value in placement.node_labels.items()}
    )


@transaction.atomic
def set_node_labels(team: Team, labels: Mapping[str, str], *, actor: User) -> dict[str, str]:
    """From now on the team's kernels start only where all of these are; with none, everywhere. What runs stays.

    Raises:
        Invalid: a name or value that no node can have.
    """
    for name, value in labels.items():
        if not _LABEL.match(name) or not _LABEL.match(value):
            raise Invalid(
                f"{name[:80]!r} is no label: name and value have letters, digits, dots, dashes and underscores, "
                "such as gpu = yes.",
                field="node_labels",
            )
    before = node_labels_of(team)
    if dict(labels) == before:
        return before
    if labels:
        TeamPlacement.objects.update_or_create(team=team, defaults={"node_labels": dict(labels)})
    else:
        TeamPlacement.objects.filter(team=team).delete()
    audit.record(
        "team_placement_changed",
        actor=actor,
        target=f"team:{team.pk}",
        team_id=team.pk,
        old=_shown(before),
        new=_shown(labels),
    )
    fill_places_soon()
    return dict(labels)


def is_suitable(node_labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(node_labels.get(name) == value for name, value in wanted.items())


def _shown(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) or "everywhere"
