from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kernels_app.bus.envelopes import KernelSpecInfo, NodeInfo
from kernels_app.bus.identifiers import NodeId
from kernels_app.errors import NoNode, UnknownKernelspec
from kernels_app.runs.placement import (
    NodeLoad,
    Want,
    available_kernelspecs,
    check_possible,
    choose_kernelspec,
    choose_node,
    has_room,
)
from tests.kernels_app.scripted_node import DENO, PYTHON

IR = KernelSpecInfo(name="ir", display_name="R", language="R")
CONDA = KernelSpecInfo(name="conda-env", display_name="Conda", language="python")


def node(name: str, *specs: KernelSpecInfo, memory_bytes: int = 8) -> NodeInfo:
    return NodeInfo(
        node_id=NodeId(name),
        fence=1,
        provisioner="process",
        kernelspecs=list(specs),
        memory_bytes=memory_bytes,
        cpu_count=1,
    )


def choose(metadata: dict[str, Any], *, wanted: str | None = None, last_used: str | None = None) -> str:
    nodes = [node("a", DENO, PYTHON), node("b", IR)]
    return choose_kernelspec(nodes, wanted=wanted, last_used=last_used, notebook_metadata=metadata)


def test_no_node_up_says_so() -> None:
    with pytest.raises(NoNode):
        choose_kernelspec([], wanted="python3", last_used=None, notebook_metadata={})
    with pytest.raises(NoNode):
        check_possible([], Want("python3"))


def test_an_unknown_kernelspec_names_those_there_are() -> None:
    with pytest.raises(UnknownKernelspec) as caught:
        choose({}, wanted="julia")
    assert caught.value.details["available"] == ["deno", "ir", "python3"]
    assert "python3 (Python 3)" in caught.value.message


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"name": "julia-1.10", "language": "julia"}},
        {"kernelspec": {"name": "julia-1.10"}},
        {"language_info": {"name": "julia"}},
    ],
)
def test_what_asks_for_something_else_is_not_run_as_python(metadata: dict[str, Any]) -> None:
    with pytest.raises(UnknownKernelspec):
        choose(metadata)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, "python3"),
        ({"kernelspec": {"name": "deno"}}, "deno"),
        ({"kernelspec": {"name": "venv-of-somebody", "language": "python"}}, "python3"),
        ({"kernelspec": {"name": "irkernel"}, "language_info": {"name": "R"}}, "ir"),
        ({"kernelspec": "nonsense", "language_info": ["nonsense"]}, "python3"),
        ({"kernelspec": {"name": 7, "language": None}}, "python3"),
    ],
)
def test_the_notebook_chooses_by_name_then_by_language(metadata: dict[str, Any], expected: str) -> None:
    assert choose(metadata) == expected


def test_what_it_last_ran_on_comes_before_its_metadata_and_a_wish_before_both() -> None:
    metadata = {"kernelspec": {"name": "python3"}}
    assert choose(metadata, last_used="deno") == "deno"
    assert choose(metadata, last_used="gone") == "python3"
    assert choose(metadata, last_used="deno", wanted="ir") == "ir"


def test_one_python_among_several_is_python3() -> None:
    nodes = [node("a", CONDA, PYTHON)]
    metadata = {"language_info": {"name": "Python"}}
    assert choose_kernelspec(nodes, wanted=None, last_used=None, notebook_metadata=metadata) == "python3"
    nodes = [node("a", CONDA)]
    assert choose_kernelspec(nodes, wanted=None, last_used=None, notebook_metadata=metadata) == "conda-env"


def load(
    info: NodeInfo,
    *,
    kernels: int = 0,
    reserved: int = 0,
    capacity: int | None = None,
    draining: bool = False,
) -> NodeLoad:
    return NodeLoad(info, info.memory_bytes if capacity is None else capacity, kernels, reserved, draining)


def chosen(loads: list[NodeLoad], want: Want) -> str | None:
    found = choose_node(loads, want)
    return None if found is None else found.info.node_id


def test_the_node_with_most_free_memory_a_kernel_starts_it() -> None:
    small, big = node("small", PYTHON, memory_bytes=8), node("big", PYTHON, memory_bytes=32)
    assert chosen([load(small), load(big, kernels=1)], Want("python3")) == "big"
    assert chosen([load(small), load(big, kernels=9)], Want("python3")) == "small"
    assert chosen([load(small), load(big, kernels=1, reserved=30)], Want("python3")) == "small"


def test_equal_nodes_are_chosen_by_name_so_that_all_processes_agree() -> None:
    assert chosen([load(node("b", PYTHON)), load(node("a", PYTHON))], Want("python3")) == "a"


def test_a_node_without_the_kernelspec_is_not_chosen() -> None:
    loads = [load(node("python", PYTHON)), load(node("r", IR, memory_bytes=1_000))]
    assert chosen(loads, Want("python3")) == "python"
    with pytest.raises(UnknownKernelspec):
        check_possible(loads, Want("deno"))


def test_memory_is_reserved_to_the_last_byte_and_not_beyond() -> None:
    info = node("a", PYTHON, memory_bytes=8)
    assert has_room(load(info, reserved=4), Want("python3", memory_bytes=4))
    assert not has_room(load(info, reserved=5), Want("python3", memory_bytes=4))
    assert has_room(load(info, reserved=8), Want("python3")), "no limit reserves nothing"


def test_a_node_has_so_many_slots_and_no_more() -> None:
    info = msgspec.structs.replace(node("a", PYTHON), slot_count=2)
    assert has_room(load(info, kernels=1), Want("python3"))
    assert not has_room(load(info, kernels=2), Want("python3"))


def test_a_drained_node_gets_nothing_whoever_says_that_it_drains() -> None:
    info = node("a", PYTHON)
    assert not has_room(load(info, draining=True), Want("python3"))
    assert not has_room(load(msgspec.structs.replace(info, is_draining=True)), Want("python3"))
    check_possible([load(info, draining=True)], Want("python3"))  # it waits rather than fails


def test_labels_of_team_and_kernelspec_must_all_match() -> None:
    cuda = KernelSpecInfo(
        name="cuda",
        display_name="CUDA",
        language="python",
        metadata={"zasper": {"node_labels": {"gpu": "yes"}}},
    )
    plain = node("plain", PYTHON, cuda)
    gpu = msgspec.structs.replace(
        node("gpu", PYTHON, cuda, memory_bytes=1), labels={"gpu": "yes", "zone": "a"}
    )
    assert chosen([load(plain), load(gpu)], Want("python3")) == "plain"
    assert chosen([load(plain), load(gpu)], Want("cuda")) == "gpu"
    assert chosen([load(plain), load(gpu)], Want("python3", labels={"zone": "a"})) == "gpu"
    with pytest.raises(NoNode, match="meant for"):
        check_possible([load(plain), load(gpu)], Want("cuda", labels={"zone": "b"}))


@pytest.mark.parametrize(
    "metadata", [{"zasper": "nonsense"}, {"zasper": {"node_labels": ["gpu"]}}, {"zasper": None}]
)
def test_nonsense_in_a_kernelspec_wants_no_labels(metadata: dict[str, Any]) -> None:
    spec = KernelSpecInfo(name="odd", display_name="Odd", language="python", metadata=metadata)
    assert chosen([load(node("a", spec))], Want("odd")) == "a"


def test_what_no_node_could_ever_hold_is_refused_with_the_figures() -> None:
    loads = [load(node("a", PYTHON, memory_bytes=8 << 30), reserved=8 << 30)]
    check_possible(loads, Want("python3", memory_bytes=8 << 30))  # full now, but it fits
    with pytest.raises(NoNode, match=r"16\.0 GiB.*the largest has 8\.0 GiB"):
        check_possible(loads, Want("python3", memory_bytes=16 << 30))


def test_kernelspecs_of_all_nodes_are_listed_once() -> None:
    specs = available_kernelspecs([node("a", PYTHON, DENO), node("b", PYTHON, IR)])
    assert [spec.name for spec in specs] == ["deno", "ir", "python3"]
