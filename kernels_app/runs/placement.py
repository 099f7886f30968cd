"""Which kernelspec a notebook gets, which nodes could run it and which one does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kernels_app.bus.envelopes import KernelSpecInfo, NodeInfo
from kernels_app.errors import NoNode, UnknownKernelspec

FALLBACK_KERNELSPEC = "python3"


def available_kernelspecs(nodes: Sequence[NodeInfo]) -> list[KernelSpecInfo]:
    """The kernelspecs that at least one of the nodes has, each name once, by name."""
    specs: dict[str, KernelSpecInfo] = {}
    for node in nodes:
        for spec in node.kernelspecs:
            specs.setdefault(spec.name, spec)
    return [specs[name] for name in sorted(specs)]


def default_kernelspec(nodes: Sequence[NodeInfo]) -> str:
    """Name of the kernelspec for who names none: python3, unless there are others only."""
    names = [spec.name for spec in available_kernelspecs(nodes)]
    return FALLBACK_KERNELSPEC if FALLBACK_KERNELSPEC in names or not names else names[0]


def choose_kernelspec(
    nodes: Sequence[NodeInfo],
    *,
    wanted: str | None,
    last_used: str | None,
    notebook_metadata: Mapping[str, Any],
) -> str:
    """Name of the kernelspec for a notebook: what was asked for; else what it last ran on; else what its metadata
    names; else one of its language; else python3, if the notebook names neither a kernel nor a language.

    Raises:
        NoNode: no node is up.
        UnknownKernelspec: none of the nodes has it, or one of the notebook's language.
    """
    if not nodes:
        raise NoNode
    specs = available_kernelspecs(nodes)
    names = {spec.name for spec in specs}
    if wanted is not None:
        if wanted not in names:
            raise _unknown(wanted, specs)
        return wanted
    named, language = _named_in(notebook_metadata)
    for candidate in (last_used, named):
        if candidate in names and candidate is not None:
            return candidate
    matching = [spec.name for spec in specs if language and spec.language.lower() == language]
    says_nothing = not named and not language
    if FALLBACK_KERNELSPEC in matching or (says_nothing and FALLBACK_KERNELSPEC in names):
        return FALLBACK_KERNELSPEC
    if matching:
        return matching[0]
    raise _unknown(named or language or FALLBACK_KERNELSPEC, specs)


@dataclass(frozen=True, slots=True)
class Want:
    """What a kernel needs of its node. `memory_bytes` is its limit: None reserves nothing. `labels`: all must match."""

    kernelspec_name: str
    memory_bytes: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A node that is up, with what it has been given: live kernels, and the sum of their memory limits."""

    info: NodeInfo
    capacity_bytes: int
    kernel_count: int = 0
    reserved_bytes: int = 0
    is_draining: bool = False

    def with_kernel(self, want: Want) -> NodeLoad:
        reserved = self.reserved_bytes + (want.memory_bytes or 0)
        return replace(self, kernel_count=self.kernel_count + 1, reserved_bytes=reserved)


def could_hold(load: NodeLoad, want: Want) -> bool:
    """Whether the node, empty and not draining, could run such a kernel."""
    spec = _spec_of(load.info, want.kernelspec_name)
    if spec is None or (want.memory_bytes or 0) > load.capacity_bytes:
        return False
    needed = {**labels_of_kernelspec(spec), **want.labels}
    return all(load.info.labels.get(name) == value for name, value in needed.items())


def has_room(load: NodeLoad, want: Want) -> bool:
    """Whether the node can take such a kernel now."""
    has_slot = load.info.slot_count == 0 or load.kernel_count < load.info.slot_count
    has_memory = load.reserved_bytes + (want.memory_bytes or 0) <= load.capacity_bytes
    is_open = not load.is_draining and not load.info.is_draining
    return is_open and has_slot and has_memory and could_hold(load, want)


def choose_node(loads: Iterable[NodeLoad], want: Want) -> NodeLoad | None:
    """The node that should start the kernel now: with the most free memory for each of its kernels; None: all full."""
    open_loads = [load for load in loads if has_room(load, want)]
    return min(open_loads, key=lambda load: (-_memory_a_kernel(load), load.info.node_id), default=None)


def check_possible(loads: Sequence[NodeLoad], want: Want) -> None:
    """Returns when at least one of the nodes could ever run such a kernel, be it full now.

    Raises:
        NoNode: no node is up, or none is large enough or has the labels.
        UnknownKernelspec: none of them has this kernelspec.
    """
    if not loads:
        raise NoNode
    able = [load for load in loads if _spec_of(load.info, want.kernelspec_name) is not None]
    if not able:
        raise _unknown(want.kernelspec_name, available_kernelspecs([load.info for load in loads]))
    if any(could_hold(load, want) for load in able):
        return
    largest = max(load.capacity_bytes for load in able)
    if (want.memory_bytes or 0) > largest:
        raise NoNode(
            f"The kernel may use {_gib(want.memory_bytes or 0)}, and no running host has that much: the largest has "
            f"{_gib(largest)}. Ask your administrator for a smaller limit, or for a larger host."
        )
    raise NoNode(
        "No running host is meant for kernels of this team and kind at the moment. Ask your administrator."
    )


def labels_of_kernelspec(spec: KernelSpecInfo) -> dict[str, str]:
    """The labels that the kernelspec wants of its node: `{"zasper": {"node_labels": {…}}}` in its metadata."""
    own = spec.metadata.get("zasper")
    labels = own.get("node_labels") if isinstance(own, Mapping) else None
    if not isinstance(labels, Mapping):
        return {}
    return {str(name): str(value) for name, value in labels.items()}


def _spec_of(node: NodeInfo, kernelspec_name: str) -> KernelSpecInfo | None:
    return next((spec for spec in node.kernelspecs if spec.name == kernelspec_name), None)


def _memory_a_kernel(load: NodeLoad) -> float:
    return (load.capacity_bytes - load.reserved_bytes) / (load.kernel_count + 1)


def _gib(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"


def _named_in(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """`(kernelspec name, language)` of a notebook's metadata, empty where it does not say (or says nonsense)."""
    kernelspec = metadata.get("kernelspec")
    language_info = metadata.get("language_info")
    name = kernelspec.get("name") if isinstance(kernelspec, Mapping) else None
    languages = [
        kernelspec.get("language") if isinstance(kernelspec, Mapping) else None,
        language_info.get("name") if isinstance(language_info, Mapping) else None,
    ]
    language = next((text for text in languages if isinstance(text, str) and text), "")
    return (name if isinstance(name, str) else ""), language.lower()


def _unknown(name: str, specs: Sequence[KernelSpecInfo]) -> UnknownKernelspec:
    shown = name[:100]
    there_are = ", ".join(f"{spec.name} ({spec.display_name})" for spec in specs) or "none"
    return UnknownKernelspec(
        f"No running node has the kernel {shown!r}. There are: {there_are}.",
        kernelspec_name=shown,
        available=[spec.name for spec in specs],
    )
