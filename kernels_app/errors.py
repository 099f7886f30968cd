"""Errors of kernels and runs. Codes and their meaning: `zasper_hub.accounts.errors`."""

from __future__ import annotations

from zasper_hub.accounts.errors import (
    Conflict,
    Forbidden,
    HubError,
    Invalid,
    Malformed,
    NotFound,
    QuotaExceeded,
    TooLarge,
    TooMany,
    TooSlow,
    Unavailable,
)

__all__ = [
    "Conflict",
    "Forbidden",
    "HubError",
    "Invalid",
    "KernelNotRunning",
    "KernelStopping",
    "Malformed",
    "NoKernelReply",
    "NoNode",
    "NotFound",
    "QuotaExceeded",
    "TooLarge",
    "TooMany",
    "TooSlow",
    "Unavailable",
    "UnknownCell",
    "UnknownKernelspec",
    "ViewerOnly",
]


class NoNode(Unavailable):
    """No node is up: no kernel can be started at the moment."""

    code = "no_node"


class UnknownKernelspec(Invalid):
    """No node that is up has the kernelspec; `details.available` names those there are."""

    code = "unknown_kernelspec"


class UnknownCell(Invalid):
    """The notebook has no code cell with this id; `details.cells` names the unknown ones."""

    code = "unknown_cell"


class KernelNotRunning(Conflict):
    code = "kernel_not_running"


class KernelStopping(Conflict):
    code = "kernel_stopping"


class NoKernelReply(Unavailable):
    """The kernel did not answer a question in time (it may be busy with a long cell)."""

    code = "no_kernel_reply"


class ViewerOnly(Forbidden):
    """A viewer asked for something that only editors may do."""

    code = "viewer"
