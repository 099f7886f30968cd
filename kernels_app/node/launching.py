"""Everything that is settled before a kernel's process is started."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from kernels_app.bus.envelopes import StartKernel
from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.terminals import StartTerminal
from kernels_app.node.connection import Connection, ipc_connection, tcp_connection
from kernels_app.node.environment import IPYTHON_CONFIG, kernel_environment, with_session_file
from kernels_app.node.kernelspecs import Kernelspecs, kernel_transport
from kernels_app.node.provisioners.base import LaunchPlan, NodeProvisioner
from kernels_app.node.provisioners.terminal_base import TerminalPlan
from kernels_app.node.records import KernelRecord, Records
from kernels_app.node.zeromq.channel_base import ChannelListener, KernelChannels
from kernels_app.node.zeromq.channels import KernelContext, open_channels

# Makes a provisioner for one launch: `(kernel_id, jupyter_client KernelSpec)`.
MakeProvisioner = Callable[[str, Any], NodeProvisioner]


class LaunchRefused(Exception):
    """The command asks for what this node does not do; a sentence for a person."""


class PreparedLaunch(msgspec.Struct, frozen=True):
    plan: LaunchPlan
    provisioner: NodeProvisioner
    connection: Connection
    display_name: str
    is_interrupted_by_message: bool


class Launcher:
    """Turns a StartKernel into a launch: kernelspec, folder, environment, sockets, connection file."""

    # Where kernels outlive the node.
    records: Records | None = None

    def __init__(
        self,
        *,
        kernelspecs: Kernelspecs,
        projects_root: Path,
        run_dir: Path,
        make_provisioner: MakeProvisioner,
        node_environment: Mapping[str, str],
    ) -> None:
        self.kernelspecs = kernelspecs
        self._projects_root = projects_root.resolve()
        self._run_dir = run_dir
        self._make_provisioner = make_provisioner
        self._node_environment = node_environment
        self._ipython_folder = run_dir / "ipython"
        self._prepare_run_dir()

    def prepare(self, command: StartKernel) -> PreparedLaunch:
        """Raises UnknownKernelspec, RefusedVariable or LaunchRefused."""
        spec = self.kernelspecs.spec(command.kernelspec_name)
        connection_file = self._connection_file(command.kernel_id)
        project = self._folder(command.project_path, "")
        plan = LaunchPlan(
            command=self.kernelspecs.command(spec, connection_file),
            environment=kernel_environment(
                node_environment=self._node_environment,
                requested=with_session_file(command.environment, command.session_file, project),
                kernel_python=self.kernelspecs.kernel_python,
                ipython_folder=self._ipython_folder,
                cpu_cores=command.limits.cpu_cores,
            ),
            cwd=self._folder(command.project_path, command.cwd),
            connection_file=connection_file,
            limits=command.limits,
        )
        try:
            is_ipc = kernel_transport(spec) == "ipc"
            connection = ipc_connection(self._run_dir) if is_ipc else tcp_connection()
            _write_private(connection_file, connection.file_content(command.kernelspec_name))
        except OSError as error:
            raise LaunchRefused(f"The node cannot prepare the kernel: {error.strerror}.") from error
        return PreparedLaunch(
            plan=plan,
            provisioner=self._make_provisioner(command.kernel_id, spec),
            connection=connection,
            display_name=spec.display_name or command.kernelspec_name,
            is_interrupted_by_message=spec.interrupt_mode == "message",
        )

    def terminal_plan(self, command: StartTerminal) -> TerminalPlan:
        """As for a kernel of the project: same environment, a folder inside the project. Raises LaunchRefused."""
        project = self._folder(command.project_path, "")
        try:
            cwd = self._folder(command.project_path, command.cwd)
        except LaunchRefused:
            cwd = project
        return TerminalPlan(
            terminal_id=command.terminal_id,
            environment=kernel_environment(
                node_environment=self._node_environment,
                requested={},
                kernel_python=self.kernelspecs.kernel_python,
                ipython_folder=self._ipython_folder,
                cpu_cores=command.limits.cpu_cores,
            ),
            project_folder=project,
            cwd=cwd,
            limits=command.limits,
        )

    def open_channels(
        self, context: KernelContext, launch: PreparedLaunch, listener: ChannelListener
    ) -> KernelChannels:
        """The way to a kernel that was launched."""
        return open_channels(context, launch.connection, listener)

    async def take_over(self, record: KernelRecord) -> PreparedLaunch:
        """The launch of an earlier life of the node. Raises LaunchRefused."""
        raise LaunchRefused("Kernels of this node do not outlive it.")

    async def adoptable(self) -> list[KernelRecord]:
        """The kernels of an earlier life of the node that are still there."""
        return []

    def forget(self, kernel_id: KernelId, connection: Connection) -> None:
        """Removes the files of a launch that is over."""
        connection.remove_sockets()
        self._connection_file(kernel_id).unlink(missing_ok=True)

    def _folder(self, project_path: str, cwd: str) -> Path:
        """Where the kernel starts: inside the project, whatever the command says."""
        project = (self._projects_root / project_path).resolve()
        folder = (project / cwd).resolve()
        if (
            "\0" in project_path + cwd
            or project == self._projects_root
            or self._projects_root not in project.parents
            or (folder != project and project not in folder.parents)
        ):
            raise LaunchRefused("The notebook's folder is outside its project.")
        if folder == project:
            project.mkdir(exist_ok=True)  # a project without a file yet
        if not folder.is_dir():
            raise LaunchRefused("The notebook's folder does not exist any more.")
        return folder

    def _connection_file(self, kernel_id: KernelId) -> Path:
        # The id comes from the wire: only its letters and digits reach the file system.
        name = "".join(letter for letter in kernel_id if letter.isalnum() or letter == "-")
        return self._run_dir / f"kernel-{name[:64]}.json"

    def _prepare_run_dir(self) -> None:
        """Nobody but the node's user looks into it; what an earlier life left is removed.

        Raises ValueError when its path is too long for sockets, OSError when it cannot be written.
        """
        ipc_connection(self._run_dir)
        self._run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._run_dir.chmod(0o700)
        for path in self._run_dir.glob("kernel-*.json"):
            path.unlink(missing_ok=True)
        for path in self._run_dir.glob("????????-[1-5]"):
            path.unlink(missing_ok=True)
        profile = self._ipython_folder / "profile_default"
        profile.mkdir(parents=True, exist_ok=True)
        (profile / "ipython_config.py").write_text(IPYTHON_CONFIG)


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
