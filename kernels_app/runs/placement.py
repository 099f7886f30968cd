"""Which kernelspec a notebook gets and which node starts it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def place(nodes: Sequence[NodeInfo], kernelspec_name: str) -> NodeInfo:
    """The node that should start the kernel: the one with the most memory for each of its kernels.

    Raises:
        NoNode: no node is up.
        UnknownKernelspec: none of them has this kernelspec.
    """
    if not nodes:
        raise NoNode
    able = [node for node in nodes if any(spec.name == kernelspec_name for spec in node.kernelspecs)]
    if not able:
        raise _unknown(kernelspec_name, available_kernelspecs(nodes))
    return min(able, key=lambda node: (-node.memory_bytes / (node.kernel_count + 1), node.node_id))


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
