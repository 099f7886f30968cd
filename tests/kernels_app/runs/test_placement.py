from __future__ import annotations

from typing import Any

import pytest

from kernels_app.bus.envelopes import KernelSpecInfo, NodeInfo
from kernels_app.bus.identifiers import NodeId
from kernels_app.errors import NoNode, UnknownKernelspec
from kernels_app.runs.placement import available_kernelspecs, choose_kernelspec, place
from tests.kernels_app.scripted_node import DENO, PYTHON

IR = KernelSpecInfo(name="ir", display_name="R", language="R")
CONDA = KernelSpecInfo(name="conda-env", display_name="Conda", language="python")


def node(name: str, *specs: KernelSpecInfo, memory_bytes: int = 8, kernel_count: int = 0) -> NodeInfo:
    return NodeInfo(
        node_id=NodeId(name),
        fence=1,
        provisioner="process",
        kernelspecs=list(specs),
        memory_bytes=memory_bytes,
        cpu_count=1,
        kernel_count=kernel_count,
    )


def choose(metadata: dict[str, Any], *, wanted: str | None = None, last_used: str | None = None) -> str:
    nodes = [node("a", DENO, PYTHON), node("b", IR)]
    return choose_kernelspec(nodes, wanted=wanted, last_used=last_used, notebook_metadata=metadata)


def test_no_node_up_says_so() -> None:
    with pytest.raises(NoNode):
        choose_kernelspec([], wanted="python3", last_used=None, notebook_metadata={})
    with pytest.raises(NoNode):
        place([], "python3")


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


def test_the_node_with_most_memory_a_kernel_starts_it() -> None:
    nodes = [node("small", PYTHON, memory_bytes=8), node("big", PYTHON, memory_bytes=32, kernel_count=1)]
    assert place(nodes, "python3").node_id == "big"
    nodes = [node("small", PYTHON, memory_bytes=8), node("big", PYTHON, memory_bytes=32, kernel_count=9)]
    assert place(nodes, "python3").node_id == "small"


def test_a_node_without_the_kernelspec_is_not_chosen() -> None:
    nodes = [node("python", PYTHON), node("r", IR, memory_bytes=1_000)]
    assert place(nodes, "python3").node_id == "python"
    with pytest.raises(UnknownKernelspec):
        place(nodes, "deno")


def test_kernelspecs_of_all_nodes_are_listed_once() -> None:
    specs = available_kernelspecs([node("a", PYTHON, DENO), node("b", PYTHON, IR)])
    assert [spec.name for spec in specs] == ["deno", "ir", "python3"]
