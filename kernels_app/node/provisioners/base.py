"""What a node asks of every provisioner, beyond jupyter_client's own interface."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import msgspec
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from kernels_app.bus.envelopes import Limits
from kernels_app.node.provisioners.processes import Usage


class LaunchPlan(msgspec.Struct, frozen=True):
    """Everything a launch needs. `environment` is all the kernel gets, but for the kernelspec's own."""

    command: list[str]
    environment: dict[str, str]
    cwd: Path
    connection_file: Path
    limits: Limits


class NodeProvisioner(KernelProvisionerBase):
    """A jupyter_client provisioner that a node can run. One instance a launch.

    Order of calls: `pre_launch(plan=…)`, `launch_kernel(**what it gave)`, then `wait` until the end,
    `send_signal`, `terminate`, `kill` at any time, and `cleanup` last, always.
    """

    # "process", "sandbox" or "container".
    isolation = ""
    # Set by provisioners whose kernels outlive their node: what names the kernel to the next life of the node.
    container: str | None = None
    # The kernel was ended because it used all the memory it may.
    is_out_of_memory = False
    # What it may use, with the node's own limits where the hub says nothing.
    limits = Limits()

    async def detach(self) -> None:
        """Instead of `cleanup`, when the node stops and the kernel goes on. Only where `container` is set."""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Arguments of `launch_kernel`: the kernelspec's environment added to that of `plan`."""
        plan: LaunchPlan = kwargs.pop("plan")
        prepared: dict[str, Any] = await super().pre_launch(
            cmd=list(plan.command), env=dict(plan.environment), **kwargs
        )
        return {**prepared, "plan": plan}

    @abstractmethod
    async def last_output(self) -> str:
        """The last lines the kernel's process wrote to its standard output and error."""

    @abstractmethod
    def forget_output(self) -> None:
        """What was written until now is not part of `last_output` any more."""

    @abstractmethod
    def usage(self) -> Usage:
        """What all processes of the kernel use together, as of a moment ago; nothing when there are none."""

    def memory_bytes(self) -> int:
        """Memory in use by all processes of the kernel; what they share is counted for each."""
        return self.usage().memory_bytes

    async def exact_memory_bytes(self) -> int:
        """The same with what they share counted once; slower, and nothing else waits for it."""
        return self.memory_bytes()

    @abstractmethod
    async def update_limits(self, limits: Limits) -> None:
        """Other limits from now on, where they can be changed while the kernel runs. Raises OSError."""

    @abstractmethod
    async def pause(self) -> None:
        """Stop all processes of the kernel where they are, until `unpause`."""

    @abstractmethod
    async def unpause(self) -> None: ...
