"""What is settled before a kernel is started in a sandbox: where things are inside it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from kernels_app.bus.envelopes import StartKernel
from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.terminals import StartTerminal
from kernels_app.node.connection import PORT_NAMES, Connection
from kernels_app.node.environment import (
    IPYTHON_CONFIG,
    IPYTHON_FOLDER,
    sandbox_environment,
    with_session_file,
)
from kernels_app.node.kernelspecs import Kernelspecs, kernel_transport
from kernels_app.node.launching import Launcher, LaunchRefused, PreparedLaunch
from kernels_app.node.provisioners.base import LaunchPlan, NodeProvisioner
from kernels_app.node.provisioners.bubblewrap import PROJECT, RUN_FOLDER
from kernels_app.node.provisioners.sandbox import Attended, SandboxLaunch, SandboxProvisioner
from kernels_app.node.provisioners.terminal_base import TerminalPlan
from kernels_app.node.zeromq import attendant
from kernels_app.node.zeromq.channel_base import ChannelListener, KernelChannels
from kernels_app.node.zeromq.channels import KernelContext, open_channels
from kernels_app.node.zeromq.line import LineChannels

CONNECTION_FILE = f"{RUN_FOLDER}/connection.json"
SOCKET_PREFIX = f"{RUN_FOLDER}/k"
ATTENDANT_FOLDER = "/run/zasper/attendant"

# Makes a provisioner for one launch: `(kernel_id, jupyter_client KernelSpec, launch)`.
MakeSandbox = Callable[[str, Any, SandboxLaunch], SandboxProvisioner]


class SandboxLauncher(Launcher):
    """Turns a StartKernel into a launch whose paths are those inside a sandbox."""

    def __init__(
        self,
        *,
        kernelspecs: Kernelspecs,
        projects_root: Path,
        run_dir: Path,
        make_sandbox: MakeSandbox,
        node_environment: Mapping[str, str],
    ) -> None:
        """Raises OSError."""
        super().__init__(
            kernelspecs=kernelspecs,
            projects_root=projects_root,
            run_dir=run_dir,
            make_provisioner=_no_process,
            node_environment=node_environment,
        )
        self._make_sandbox = make_sandbox

    def prepare(self, command: StartKernel) -> PreparedLaunch:
        """Raises UnknownKernelspec, RefusedVariable or LaunchRefused."""
        spec = self.kernelspecs.spec(command.kernelspec_name)
        project = self._folder(command.project_path, "")
        cwd = self._folder(command.project_path, command.cwd)
        is_ipc = kernel_transport(spec) == "ipc"
        ports = {name: number for number, name in enumerate(PORT_NAMES, start=1)}
        connection = Connection("ipc", SOCKET_PREFIX, ports, secrets.token_hex(32))
        launch = SandboxLaunch(
            project=project,
            files={f"{IPYTHON_FOLDER}/profile_default/ipython_config.py": IPYTHON_CONFIG},
            folders=((Path(spec.resource_dir), spec.resource_dir),) if spec.resource_dir else (),
        )
        if is_ipc:
            content = connection.file_content(command.kernelspec_name).decode()
            launch = msgspec.structs.replace(launch, files={**launch.files, CONNECTION_FILE: content})
        else:
            launch = self._attended(command, launch, connection.key)
        plan = LaunchPlan(
            # An attendant makes the connection file itself and fills its name in.
            command=self.kernelspecs.command(
                spec, Path(CONNECTION_FILE) if is_ipc else Path("{connection_file}")
            ),
            environment=sandbox_environment(
                node_environment=self._node_environment,
                requested=with_session_file(command.environment, command.session_file, Path(PROJECT)),
                kernel_python=self.kernelspecs.kernel_python,
                cpu_cores=command.limits.cpu_cores,
            ),
            cwd=cwd,
            connection_file=Path(CONNECTION_FILE),
            limits=command.limits,
        )
        return PreparedLaunch(
            plan=plan,
            provisioner=self._make_sandbox(command.kernel_id, spec, launch),
            connection=connection,
            display_name=spec.display_name or command.kernelspec_name,
            is_interrupted_by_message=spec.interrupt_mode == "message",
        )

    def terminal_plan(self, command: StartTerminal) -> TerminalPlan:
        """Raises LaunchRefused."""
        plan = super().terminal_plan(command)
        return msgspec.structs.replace(
            plan,
            environment=sandbox_environment(
                node_environment=self._node_environment,
                requested={},
                kernel_python=self.kernelspecs.kernel_python,
                cpu_cores=command.limits.cpu_cores,
            ),
        )

    def open_channels(
        self, context: KernelContext, launch: PreparedLaunch, listener: ChannelListener
    ) -> KernelChannels:
        assert isinstance(launch.provisioner, SandboxProvisioner)
        line = launch.provisioner.line
        if line is not None:
            return LineChannels(line, launch.connection.key, listener)
        outside = str(launch.provisioner.sandbox.folder(SOCKET_PREFIX))
        return open_channels(context, msgspec.structs.replace(launch.connection, ip=outside), listener)

    def forget(self, kernel_id: KernelId, connection: Connection) -> None:
        """Its sockets and files were in its own memory, and are gone with it."""

    def _attended(self, command: StartKernel, launch: SandboxLaunch, key: str) -> SandboxLaunch:
        """For a kernel that can only listen on the network: an attendant inside carries its messages."""
        line_folder = self._run_dir / "lines" / secrets.token_hex(4)
        return msgspec.structs.replace(
            launch,
            folders=(
                *launch.folders,
                (line_folder, RUN_FOLDER),
                (Path(attendant.__file__).parent, ATTENDANT_FOLDER),
            ),
            attended=Attended(
                command=[str(self.kernelspecs.kernel_python), "-I", ATTENDANT_FOLDER],
                line_folder=line_folder,
                key=key,
                kernel_name=command.kernelspec_name,
            ),
        )


def _no_process(kernel_id: str, spec: Any) -> NodeProvisioner:
    raise LaunchRefused("This node runs kernels in sandboxes only.")
