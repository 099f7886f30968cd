"""What one kernel uses against what it may: decides, from figures it is given. Pure."""

from __future__ import annotations

from kernels_app.bus.envelopes import KernelFigures, Limits
from kernels_app.node.endings import memory_reason, processes_reason
from kernels_app.node.provisioners.processes import Usage

# Told of anew when memory changed by this much, or processor time by this share of a core: an idle hub is quiet.
TOLD_BYTES = 2 << 20
TOLD_CORES = 0.05
# What stands beside the kernel's own processes in a sandbox.
OWN_PROCESS_COUNT = 2


class Resources:
    """One kernel's. `now_s` is a clock that never goes back."""

    def __init__(self) -> None:
        self._usage = Usage()
        self._read_at = 0.0
        self._cores = 0.0
        self._told: KernelFigures | None = None

    def overrun(self, usage: Usage, exact_memory_bytes: int, limits: Limits) -> str | None:
        """The reason to end it now, if there is one. `exact_memory_bytes`: what is shared counted once."""
        memory, count = limits.memory_bytes, limits.process_count
        if memory is not None and min(usage.memory_bytes, exact_memory_bytes) > memory:
            return memory_reason(exact_memory_bytes, memory)
        if count is not None and usage.process_count > count + OWN_PROCESS_COUNT:
            return processes_reason(usage.process_count, count)
        return None

    def news(self, usage: Usage, now_s: float) -> KernelFigures | None:
        """Its figures, when they are others than those told last."""
        elapsed_s = now_s - self._read_at
        is_first = self._read_at == 0.0
        if is_first or usage.cpu_s < self._usage.cpu_s:
            self._cores = 0.0  # a new process, or the figures of some of its children are gone
        elif elapsed_s > 0:
            self._cores = (usage.cpu_s - self._usage.cpu_s) / elapsed_s
        self._usage, self._read_at = usage, now_s
        figures = KernelFigures(memory_bytes=usage.memory_bytes, cpu_cores=round(self._cores, 2))
        told = self._told
        if (
            told is not None
            and abs(told.memory_bytes - figures.memory_bytes) < TOLD_BYTES
            and abs(told.cpu_cores - figures.cpu_cores) < TOLD_CORES
        ):
            return None
        self._told = figures
        return figures
