"""How this node keeps its kernels apart: found out once, when it starts."""

from __future__ import annotations

import logging
import os

import msgspec

from kernels_app.node.config import ConfigError, NodeConfig
from kernels_app.node.provisioners.bubblewrap import Machine
from kernels_app.node.provisioners.control_groups import ControlGroups, find_control_groups
from kernels_app.node.provisioners.sandbox_probe import SandboxUnavailable, find_machine

logger = logging.getLogger(__name__)


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """`name`: process, sandbox or container; `enforcement`: what holds each limit; `warnings`: sentences for an
    administrator; `machine`: of a sandbox."""

    name: str
    enforcement: dict[str, str] = {}
    warnings: list[str] = []
    machine: Machine | None = None
    control_groups: ControlGroups | None = None


def find_isolation(config: NodeConfig) -> Isolation:
    """Blocking, about 0.2 s. Raises ConfigError where what was asked for does not work."""
    if config.provisioner == "docker":
        engine = dict.fromkeys(("memory", "cpu", "processes"), "engine")
        return Isolation(name="container", enforcement=engine)
    warnings: list[str] = []
    machine: Machine | None = None
    if config.provisioner in ("auto", "sandbox"):
        try:
            machine = find_machine(
                config.kernel_python, config.sandbox, path=os.environ.get("PATH"), further=config.kernel_path
            )
        except SandboxUnavailable as error:
            if config.provisioner == "sandbox":
                raise ConfigError(f"NODE_PROVISIONER is sandbox, but: {error}") from error
            warnings.append(
                f"Kernels run without a sandbox: they can read what the hub can read. {error} "
                "For people who all trust each other set NODE_PROVISIONER=process."
            )
    groups = find_control_groups(config.node_id, given=config.control_group)
    enforcement = _enforcement(groups, machine)
    if machine is not None and config.sandbox.network == "host":
        warnings.append("Kernels share the network of the machine (NODE_SANDBOX_NETWORK=host).")
    if enforcement["processes"] == "watchdog" and machine is not None:
        warnings.append(
            "The number of a kernel's processes is only watched: run the hub as an ordinary user, or give it a "
            "control group (NODE_CGROUP)."
        )
    for warning in warnings:
        logger.warning("%s", warning)
    return Isolation(
        name="process" if machine is None else "sandbox",
        enforcement=enforcement,
        warnings=warnings,
        machine=machine,
        control_groups=groups,
    )


def _enforcement(groups: ControlGroups | None, machine: Machine | None) -> dict[str, str]:
    """memory, cpu, processes: by control groups where there are some."""
    controllers = frozenset[str]() if groups is None else groups.controllers
    # The operating system does not count the processes of its administrator.
    is_counted = machine is not None and machine.has_user_namespace and os.geteuid() != 0
    return {
        "memory": "cgroup" if "memory" in controllers else "watchdog",
        "cpu": "cgroup" if "cpu" in controllers else "niceness",
        "processes": "cgroup" if "pids" in controllers else "rlimit" if is_counted else "watchdog",
    }
