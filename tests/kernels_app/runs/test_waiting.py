from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels_app.runs.placement import NodeLoad, Want, could_hold
from kernels_app.runs.waiting import Turn, Waiting, in_turn, next_places, ordinal, turns
from tests.kernels_app.runs.test_placement import IR, node
from tests.kernels_app.scripted_node import PYTHON

START = datetime(2026, 1, 1, tzinfo=UTC)
ALICE, BOB = 1, 2


def waits(number: int, user_id: int | None, *, memory: int | None = None, spec: str = "python3") -> Waiting:
    """The `number`th to come."""
    return Waiting(UUID(int=number), user_id, START + timedelta(seconds=number), Want(spec, memory))


def numbers(order: list[Waiting]) -> list[int]:
    return [one.kernel_id.int for one in order]


def full(name: str, slots: int, kernels: int, *, memory: int = 100) -> NodeLoad:
    info = msgspec.structs.replace(node(name, PYTHON, memory_bytes=memory), slot_count=slots)
    return NodeLoad(info, memory, kernels)


def placed(order: list[Waiting], *loads: NodeLoad) -> list[tuple[int, str]]:
    return [(one.kernel_id.int, load.info.node_id) for one, load in next_places(order, loads)]


def test_who_asked_for_ten_does_not_keep_the_next_one_waiting() -> None:
    waiting = [waits(1, ALICE), waits(2, ALICE), waits(3, ALICE), waits(4, BOB), waits(5, BOB)]
    assert numbers(in_turn(waiting, {})) == [1, 4, 2, 5, 3]


def test_who_has_kernels_already_comes_after_who_has_none() -> None:
    waiting = [waits(1, ALICE), waits(2, BOB)]
    assert numbers(in_turn(waiting, {ALICE: 2})) == [2, 1]
    assert numbers(in_turn(waiting, {ALICE: 2, BOB: 2})) == [1, 2]


def test_people_of_equal_count_come_in_the_order_of_their_asking_whatever_the_input_order() -> None:
    waiting = [waits(3, 7), waits(1, 8), waits(2, None)]
    assert numbers(in_turn(waiting, {})) == [1, 2, 3]


def test_as_many_start_as_there_are_slots() -> None:
    order = [waits(number, number) for number in range(1, 6)]
    assert placed(order, full("a", 3, 1), full("b", 2, 1)) == [(1, "a"), (2, "b"), (3, "a")]
    assert placed(order, full("a", 3, 3)) == []
    assert placed(order) == []


def test_a_large_kernel_is_not_overtaken_for_ever_by_small_ones() -> None:
    node_a = NodeLoad(node("a", PYTHON, memory_bytes=8), 8, 1, 4)
    assert placed([waits(1, ALICE, memory=6), waits(2, BOB, memory=2)], node_a) == []
    assert placed([waits(2, BOB, memory=2), waits(1, ALICE, memory=6)], node_a) == [(2, "a")]


def test_who_waits_for_other_nodes_keeps_nobody_waiting() -> None:
    other = NodeLoad(node("r", IR, memory_bytes=8), 8)
    order = [waits(1, ALICE), waits(2, BOB, spec="ir")]
    assert placed(order, full("a", 1, 1), other) == [(2, "r")]


def test_turns_count_those_who_wait_for_the_same_nodes() -> None:
    other = msgspec.structs.replace(node("r", IR), slot_count=1)
    loads = [full("a", 1, 1), NodeLoad(other, 8, 1)]
    order = [waits(1, ALICE), waits(2, BOB, spec="ir"), waits(3, BOB), waits(4, ALICE, spec="ir")]
    found = turns(order, loads)
    assert [found[one.kernel_id] for one in order] == [Turn(1, 2), Turn(1, 2), Turn(2, 2), Turn(2, 2)]


def test_without_any_node_all_are_in_one_queue() -> None:
    order = [waits(1, ALICE), waits(2, BOB, spec="ir")]
    assert [turn.position for turn in turns(order, []).values()] == [1, 2]


@given(
    st.lists(st.sampled_from(["python3", "ir", "julia"]), max_size=12),
    st.lists(st.lists(st.sampled_from([PYTHON, IR]), max_size=2), max_size=3),
)
def test_turns_are_what_counting_each_against_each_gives(wanted: list[str], nodes: list[list[Any]]) -> None:
    loads = [NodeLoad(node(f"n{at}", *specs), 8, 1) for at, specs in enumerate(nodes)]
    order = [waits(number, number, spec=spec) for number, spec in enumerate(wanted, 1)]
    able = [{load.info.node_id for load in loads if could_hold(load, one.want)} for one in order]
    expected = []
    for index in range(len(order)):
        rivals = [
            other for other in range(len(order))
            if not able[index] or not able[other] or able[index] & able[other]
        ]  # fmt: skip
        expected.append(Turn(sum(other < index for other in rivals) + 1, len(rivals)))
    found = turns(order, loads)
    assert [found[one.kernel_id] for one in order] == expected


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"),
     (111, "111th"), (102, "102nd")],
)  # fmt: skip
def test_the_sentence_says_the_place(number: int, text: str) -> None:
    assert ordinal(number) == text
    assert Turn(number, 200).sentence == f"Waiting for a free place: {text} in the queue."
