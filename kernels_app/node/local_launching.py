"""Kernels and terminals on the node's own machine: as processes or in sandboxes. Chooses the implementations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernels_app.node.config import NodeConfig
from kernels_app.node.isolation import Isolation
from kernels_app.node.kernelspecs import Kernelspecs, kernelspec_folders
from kernels_app.node.launching import Launcher
from kernels_app.node.provisioners.guardian import Guardian
from kernels_app.node.provisioners.process import ProcessProvisioner
from kernels_app.node.provisioners.processes import ProcessScan
from kernels_app.node.provisioners.sandbox import SandboxLaunch, SandboxProvisioner
from kernels_app.node.provisioners.terminal_base import MakeTerminal
from kernels_app.node.provisioners.terminal_process import ProcessTerminal
from kernels_app.node.provisioners.terminal_sandbox import SandboxTerminal
from kernels_app.node.sandbox_launching import SandboxLauncher


def local_launching(
    config: NodeConfig, isolation: Isolation, guardian: Guardian, environment: Mapping[str, str]
) -> tuple[Launcher, MakeTerminal]:
    """What launches kernels, and what makes terminals. Raises OSError, ValueError."""
    # All that every process started here has.
    given: dict[str, Any] = {
        "guardian": guardian,
        "process_scan": ProcessScan(),
        "control_groups": isolation.control_groups,
    }
    folders: dict[str, Any] = {
        "kernelspecs": Kernelspecs(
            kernelspec_folders(config.kernel_python, config.kernel_path), config.kernel_python
        ),
        "projects_root": config.projects_root,
        "run_dir": config.run_dir,
        "node_environment": environment,
    }
    machine = isolation.machine
    if machine is None:
        limit: dict[str, Any] = {
            "max_file_bytes": config.max_file_bytes,
            "default_memory_bytes": config.default_memory_bytes,
        }

        def make_process(kernel_id: str, spec: Any) -> ProcessProvisioner:
            return ProcessProvisioner(kernel_id=kernel_id, kernel_spec=spec, parent=None, **limit, **given)

        return Launcher(make_provisioner=make_process, **folders), lambda: ProcessTerminal(**limit, **given)

    sandbox: dict[str, Any] = {"machine": machine, "settings": config.sandbox}

    def make_sandbox(kernel_id: str, spec: Any, launch: SandboxLaunch) -> SandboxProvisioner:
        return SandboxProvisioner(
            launch=launch, kernel_id=kernel_id, kernel_spec=spec, parent=None, **sandbox, **given
        )

    return (
        SandboxLauncher(make_sandbox=make_sandbox, **folders),
        lambda: SandboxTerminal(kernel_python=config.kernel_python, **sandbox, **given),
    )
