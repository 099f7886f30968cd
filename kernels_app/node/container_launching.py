"""What is settled before a kernel's container is started, and which containers of an earlier life go on."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from jupyter_client.kernelspec import KernelSpec

from kernels_app.bus.envelopes import KernelSpecInfo, StartKernel
from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.terminals import StartTerminal
from kernels_app.node.connection import Connection
from kernels_app.node.environment import (
    IPYTHON_CONFIG,
    IPYTHON_FOLDER,
    container_environment,
    with_session_file,
)
from kernels_app.node.kernelspecs import Kernelspecs, UnknownKernelspec, kernel_transport
from kernels_app.node.launching import Launcher, LaunchRefused, PreparedLaunch
from kernels_app.node.provisioners.base import LaunchPlan, NodeProvisioner
from kernels_app.node.provisioners.docker import PROJECT, ContainerLaunch, DockerProvisioner
from kernels_app.node.provisioners.engine import KERNEL_LABEL, Engine, EngineError
from kernels_app.node.provisioners.terminal_base import TerminalPlan
from kernels_app.node.provisioners.terminal_docker import DockerTerminal
from kernels_app.node.records import KernelRecord, Records
from kernels_app.node.zeromq.channel_base import ChannelListener
from kernels_app.node.zeromq.channels import KernelContext
from kernels_app.node.zeromq.line import LineChannels

logger = logging.getLogger(__name__)

# argv[0] that means the Python of the image.
_PYTHON_NAMES = ("python", "python3")


class ImageKernelspecs(Kernelspecs):
    """The kernelspecs of the allowed images. Those of the first image keep their names; one of another image that
    has a name already given is called `<name>-<image>`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__([], Path("/usr/bin/python3"))
        self._engine = engine
        self._found: dict[str, tuple[str, dict[str, Any]]] = {}

    def all(self) -> list[KernelSpecInfo]:
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for image, specs in self._engine.read_kernelspecs().items():
            for name, spec in specs.items():
                if not _is_usable(spec):
                    logger.warning("The kernelspec %s of %s names no program.", name, image)
                    continue
                found[name if name not in found else f"{name}-{_short(image)}"] = (image, spec)
        if found or not self._found:  # an engine that is away for a moment takes no kernelspec away
            self._found = found
        return [
            KernelSpecInfo(name, str(spec.get("display_name") or name), str(spec.get("language") or ""))
            for name, (_, spec) in sorted(self._found.items())
        ]

    def spec(self, name: str) -> Any:
        return self.spec_and_image(name)[0]

    def spec_and_image(self, name: str) -> tuple[Any, str]:
        """Raises UnknownKernelspec."""
        if name not in self._found:
            names = ", ".join(sorted(self._found)) or "none"
            raise UnknownKernelspec(f"There is no kernel “{name}” here. Installed: {names}.")
        image, spec = self._found[name]
        made = KernelSpec(
            argv=list(spec["argv"]),
            display_name=str(spec.get("display_name") or name),
            language=str(spec.get("language") or ""),
            env={str(key): str(value) for key, value in (spec.get("env") or {}).items()},
            metadata=spec.get("metadata") or {},
            interrupt_mode="message" if spec.get("interrupt_mode") == "message" else "signal",
            resource_dir=str(spec.get("resource_dir") or ""),
        )
        return made, image


class ContainerLauncher(Launcher):
    """Turns a StartKernel into a container; keeps records of those that run."""

    def __init__(
        self, *, engine: Engine, projects_root: Path, run_dir: Path, node_environment: Mapping[str, str]
    ) -> None:
        """Raises OSError."""
        self.image_kernelspecs = ImageKernelspecs(engine)
        super().__init__(
            kernelspecs=self.image_kernelspecs,
            projects_root=projects_root,
            run_dir=run_dir,
            make_provisioner=_no_process,
            node_environment=node_environment,
        )
        self._engine = engine
        self.records = self._records = Records(run_dir / "records")

    def prepare(self, command: StartKernel) -> PreparedLaunch:
        """Raises UnknownKernelspec, RefusedVariable or LaunchRefused."""
        spec, image = self.image_kernelspecs.spec_and_image(command.kernelspec_name)
        cwd = self._folder(command.project_path, command.cwd)
        key = secrets.token_hex(32)
        plan = LaunchPlan(
            command=_command(spec),
            environment=container_environment(
                requested=with_session_file(command.environment, command.session_file, Path(PROJECT)),
                cpu_cores=command.limits.cpu_cores,
            ),
            cwd=cwd,
            connection_file=Path("{connection_file}"),
            limits=command.limits,
        )
        return PreparedLaunch(
            plan=plan,
            provisioner=self._provisioner(command, spec, image, key, cwd),
            connection=Connection("ipc", "", {}, key),
            display_name=spec.display_name,
            is_interrupted_by_message=spec.interrupt_mode == "message",
        )

    def terminal_plan(self, command: StartTerminal) -> TerminalPlan:
        """As for a kernel of the project. Raises LaunchRefused."""
        environment = container_environment(requested={}, cpu_cores=command.limits.cpu_cores)
        return msgspec.structs.replace(super().terminal_plan(command), environment=environment)

    def make_terminal(self) -> DockerTerminal:
        root = self._projects_root
        return DockerTerminal(
            engine=self._engine, project_name=lambda folder: _safe(str(folder.relative_to(root)))
        )

    def open_channels(
        self, context: KernelContext, launch: PreparedLaunch, listener: ChannelListener
    ) -> LineChannels:
        assert isinstance(launch.provisioner, DockerProvisioner)
        assert launch.provisioner.line is not None
        return LineChannels(
            launch.provisioner.line,
            launch.connection.key,
            listener,
            on_unknown_run=getattr(listener, "on_unknown_run", lambda run_id: None),
        )

    def forget(self, kernel_id: KernelId, connection: Connection) -> None:
        self._records.remove(kernel_id)

    async def take_over(self, record: KernelRecord) -> PreparedLaunch:
        """The launch of an earlier life. Raises LaunchRefused."""
        command = record.command
        spec = KernelSpec(
            argv=["kernel"],
            display_name=record.display_name,
            interrupt_mode="message" if record.is_interrupted_by_message else "signal",
        )
        cwd = self._folder(command.project_path, "")
        provisioner = self._provisioner(command, spec, "", record.key, cwd)
        try:
            await provisioner.adopt(record.container)
        except (EngineError, OSError) as error:
            await provisioner.cleanup()
            self._records.remove(command.kernel_id)
            raise LaunchRefused("Its node could not take the kernel over after a restart.") from error
        return PreparedLaunch(
            plan=LaunchPlan([], {}, cwd, Path("{connection_file}"), command.limits),
            provisioner=provisioner,
            connection=Connection("ipc", "", {}, record.key),
            display_name=record.display_name,
            is_interrupted_by_message=record.is_interrupted_by_message,
        )

    async def adoptable(self) -> list[KernelRecord]:
        """Records whose containers are there; all other containers of this node are removed, and their records."""
        try:
            containers = await asyncio.to_thread(self._engine.own_containers)
        except EngineError as error:
            # They go on, and so do their records: a next life may find them.
            logger.error("The kernels of an earlier life cannot be found: %s", error)
            return []
        by_id = {container["Id"]: container for container in containers}
        found: list[KernelRecord] = []
        for record in self._records.all():
            if by_id.pop(record.container, None) is not None:
                found.append(record)
            else:
                self._records.remove(record.command.kernel_id)
        for container_id, container in by_id.items():
            logger.warning(
                "Removing a container nobody knows of any more: kernel %s.",
                (container.get("Labels") or {}).get(KERNEL_LABEL, "?"),
            )
            try:
                await asyncio.to_thread(self._engine.remove, container_id)
            except EngineError as error:
                logger.warning("It stays behind: %s", error)
        return found

    def _provisioner(
        self, command: StartKernel, spec: Any, image: str, key: str, cwd: Path
    ) -> DockerProvisioner:
        return DockerProvisioner(
            engine=self._engine,
            launch=ContainerLaunch(
                image=image,
                project=self._folder(command.project_path, ""),
                project_name=_safe(command.project_path),
                key=key,
                transport=kernel_transport(spec),
                kernel_name=command.kernelspec_name,
                files={f"{IPYTHON_FOLDER}/profile_default/ipython_config.py": IPYTHON_CONFIG},
            ),
            kernel_id=_safe(command.kernel_id),
            kernel_spec=spec,
            parent=None,
        )


def _no_process(kernel_id: str, spec: Any) -> NodeProvisioner:
    raise LaunchRefused("This node runs kernels in containers only.")


def _is_usable(spec: Any) -> bool:
    argv = spec.get("argv") if isinstance(spec, dict) else None
    return isinstance(argv, list) and bool(argv) and all(isinstance(word, str) for word in argv)


def _command(spec: Any) -> list[str]:
    replacements = {"{resource_dir}": str(spec.resource_dir), "{prefix}": "/opt/kernel"}
    command = []
    for word in spec.argv:
        for name, value in replacements.items():
            word = word.replace(name, value)  # noqa: PLW2901  one after the other
        command.append(word)
    if command[0] in _PYTHON_NAMES:
        command[0] = "/opt/kernel/bin/python"
    return command


def _short(image: str) -> str:
    return _safe(image.rpartition("/")[2].replace(":", "-"))


def _safe(text: str) -> str:
    """The text as part of a name: it comes from the wire."""
    return "".join(letter for letter in text if letter.isascii() and (letter.isalnum() or letter in "-_"))[
        :64
    ]
