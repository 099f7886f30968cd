"""What a node asks of whatever starts terminals: a shell with a terminal of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import msgspec

from kernels_app.bus.terminals import TerminalId, TerminalLimits

FIRST_SIZE = (24, 80)


class TerminalPlan(msgspec.Struct, frozen=True):
    """Everything a start needs. `environment` is all the shell gets; `cwd` lies in the project's folder."""

    terminal_id: TerminalId
    environment: dict[str, str]
    project_folder: Path
    cwd: Path
    limits: TerminalLimits


class TerminalProcess(ABC):
    """One shell. Order of calls: `start`, then `wait` until the end, the others at any time; `cleanup` last, always."""

    # What holds of memory, once it is started: the plan's limit, else the node's own.
    memory_limit_bytes: int | None = None

    @abstractmethod
    async def start(self, plan: TerminalPlan) -> int:
        """A non-blocking descriptor: what is read from it is the terminal's output, what is written its input. It ends
        with end-of-file or EIO. It stays this object's; `cleanup` closes it.

        Raises OSError when the shell or its folder cannot be used.
        """

    @abstractmethod
    async def wait(self) -> int:
        """The shell's exit code, minus the signal's number when one ended it. Nothing of it runs any more then."""

    @abstractmethod
    def resize(self, rows: int, columns: int) -> None: ...

    @abstractmethod
    def hang_up(self) -> None:
        """Asks the shell to end, as a closed window does."""

    @abstractmethod
    def kill(self) -> None:
        """Ends the shell and everything in its session at once."""

    @abstractmethod
    async def cleanup(self) -> None:
        """Ends what is left of it anywhere, and closes what was open."""

    @abstractmethod
    def is_at_prompt(self) -> bool:
        """Whether nothing but the shell itself has the terminal."""

    @abstractmethod
    def memory_bytes(self) -> int:
        """Memory in use by all its processes."""

    def process_count(self) -> int:
        """How many processes it has; 0 where something else keeps them within the limit."""
        return 0


# Makes the process of one terminal.
MakeTerminal = Callable[[], TerminalProcess]
