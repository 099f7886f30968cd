"""The queue for a place on a node: whose turn it is, who can start now, who is how far. Pure.

Turns go round by person: who has the fewest kernels comes first, then who has waited longest. Who cannot start keeps
those behind it off the nodes that it waits for, so that a large kernel is not overtaken for ever by small ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kernels_app.runs.placement import NodeLoad, Want, choose_node, could_hold


@dataclass(frozen=True, slots=True)
class Waiting:
    """A kernel without a node."""

    kernel_id: UUID
    user_id: int | None
    since: datetime
    want: Want


@dataclass(frozen=True, slots=True)
class Turn:
    """The `position`th (from 1) of the `length` kernels that wait for the same nodes as this one."""

    position: int
    length: int

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"Waiting for a free place: {ordinal(self.position)} in the queue."


def in_turn(waiting: Sequence[Waiting], placed_counts: Mapping[int | None, int]) -> list[Waiting]:
    """In the order in which they are to start. `placed_counts`: live kernels with a node, by person."""
    by_person: dict[int | None, list[Waiting]] = defaultdict(list)
    for one in sorted(waiting, key=lambda one: (one.since, one.kernel_id)):
        by_person[one.user_id].append(one)
    ranked = [
        (placed_counts.get(user_id, 0) + index, one.since, one.kernel_id, one)
        for user_id, own in by_person.items()
        for index, one in enumerate(own)
    ]
    return [one for *_, one in sorted(ranked, key=lambda item: item[:3])]


def next_places(order: Sequence[Waiting], loads: Sequence[NodeLoad]) -> list[tuple[Waiting, NodeLoad]]:
    """Who of them can start now, and on which node."""
    now = {load.info.node_id: load for load in loads}
    found: list[tuple[Waiting, NodeLoad]] = []
    kept_free: set[str] = set()
    for one in order:
        open_loads = [load for node_id, load in now.items() if node_id not in kept_free]
        chosen = choose_node(open_loads, one.want)
        if chosen is None:
            kept_free |= _able_nodes(one, loads)
            continue
        found.append((one, chosen))
        now[chosen.info.node_id] = chosen.with_kernel(one.want)
    return found


def turns(order: Sequence[Waiting], loads: Sequence[NodeLoad]) -> dict[UUID, Turn]:
    """How far each is, among those that wait for at least one of the same nodes (all, where no node is up for it)."""
    able = [frozenset(_able_nodes(one, loads)) for one in order]
    lengths = Counter(able)
    ahead: Counter[frozenset[str]] = Counter()
    found: dict[UUID, Turn] = {}
    for one, nodes in zip(order, able, strict=True):
        # Few nodes, so few different sets of them, however many wait.
        rivals = [other for other in lengths if not nodes or not other or nodes & other]
        found[one.kernel_id] = Turn(
            position=sum(ahead[other] for other in rivals) + 1, length=sum(lengths[other] for other in rivals)
        )
        ahead[nodes] += 1
    return found


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`."""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _able_nodes(one: Waiting, loads: Sequence[NodeLoad]) -> set[str]:
    return {load.info.node_id for load in loads if could_hold(load, one.want)}
