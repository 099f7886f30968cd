"""What a node keeps on disk of kernels that outlive it: enough for its next life to take them over."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

import msgspec

from kernels_app.bus.envelopes import StartKernel
from kernels_app.bus.identifiers import KernelId
from kernels_app.node.admission import QueuedRun

logger = logging.getLogger(__name__)


class KeptRun(msgspec.Struct, frozen=True):
    """A run that is not over, or was over so lately that its outputs may not be written yet."""

    run: QueuedRun
    started_at: int | None = None


class KernelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`runs` in their order."""

    command: StartKernel
    container: str
    key: str
    display_name: str
    is_interrupted_by_message: bool
    runs: list[KeptRun] = []


class Records:
    """One file a kernel."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def save(self, record: KernelRecord) -> None:
        """Never half a record. A disk that is full costs the adoption of this kernel, not its work."""
        path = self._path(record.command.kernel_id)
        new = path.with_suffix(".new")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.msgpack.encode(record))
            new.replace(path)
        except OSError as error:
            logger.warning(
                "The record of kernel %s cannot be written: %s", record.command.kernel_id, error.strerror
            )

    def remove(self, kernel_id: KernelId) -> None:
        with contextlib.suppress(OSError):
            self._path(kernel_id).unlink(missing_ok=True)

    def all(self) -> list[KernelRecord]:
        """Those that can be read; the others are removed."""
        found: list[KernelRecord] = []
        for path in sorted(self._folder.glob("*.record")):
            try:
                found.append(msgspec.msgpack.decode(path.read_bytes(), type=KernelRecord))
            except (OSError, msgspec.MsgspecError) as error:
                logger.warning("A kernel's record cannot be read: %s", error)
                with contextlib.suppress(OSError):
                    path.unlink()
        return found

    def _path(self, kernel_id: KernelId) -> Path:
        # The id comes from the wire: only its letters and digits reach the file system.
        name = "".join(letter for letter in kernel_id if letter.isalnum() or letter == "-")
        return self._folder / f"{name[:64]}.record"
