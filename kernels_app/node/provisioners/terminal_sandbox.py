"""Terminals in sandboxes of bubblewrap, as the `sandbox` provisioner runs kernels."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from kernels_app.bus.envelopes import Limits
from kernels_app.node.provisioners.bubblewrap import Machine, SandboxSettings
from kernels_app.node.provisioners.exits import exit_code
from kernels_app.node.provisioners.process import Spawning
from kernels_app.node.provisioners.sandbox import Sandbox, SandboxLaunch
from kernels_app.node.provisioners.terminal_base import TerminalPlan
from kernels_app.node.provisioners.terminal_process import ProcessTerminal, launcher_words


class SandboxTerminal(ProcessTerminal):
    """A shell that sees what the project's kernels see, and no kernel's processes."""

    def __init__(
        self, *, machine: Machine, settings: SandboxSettings, kernel_python: Path, **kwargs: Any
    ) -> None:
        super().__init__(max_file_bytes=settings.max_file_bytes, **kwargs)
        self._sandbox = Sandbox(machine, settings)
        self._kernel_python = kernel_python

    def _effective(self, limits: Limits) -> Limits:
        return self._sandbox.effective(limits)

    def _spawning(self, plan: TerminalPlan, limits: Limits, environment: dict[str, str]) -> Spawning:
        words, descriptors = self._sandbox.words(
            SandboxLaunch(project=plan.project_folder),
            cwd=plan.cwd,
            limits=limits,
            has_process_group=self._group is not None,
        )
        launcher = launcher_words(str(self._kernel_python), self._shell, self._max_file_bytes)
        return Spawning([*words, *launcher], plan.project_folder, environment, descriptors)

    async def _started(self) -> None:
        await asyncio.to_thread(self._sandbox.read_status)

    def _shell_pid(self) -> int:
        if not self._sandbox.init_pid:
            return 0
        return next(iter(self._process_scan.children(self._sandbox.init_pid)), 0)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            if self._sandbox.init_pid:
                with contextlib.suppress(OSError):
                    os.kill(self._sandbox.init_pid, signal.SIGKILL)
            else:
                super().kill()

    def memory_bytes(self) -> int:
        used = super().memory_bytes()
        return used + self._sandbox.memory_files_bytes() if used and self._sandbox.init_pid else used

    def _exit_code(self) -> int:
        return exit_code(super()._exit_code())
