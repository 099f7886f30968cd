"""One terminal: its shell, what it prints and who reads it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import assert_never

from kernels_app.bus.terminals import (
    INPUT_WINDOW_BYTES,
    AttachReader,
    ConfirmOutput,
    DetachReader,
    ReaderDropped,
    ReaderId,
    ResizeTerminal,
    StartTerminal,
    StopTerminal,
    TerminalEnded,
    TerminalInfo,
    TerminalInput,
    TerminalOutput,
    encode_terminal,
    reader_topic,
)
from kernels_app.bus.transport import Publication, Transport, TransportError
from kernels_app.node.endings import memory_reason, processes_reason, short
from kernels_app.node.provisioners.terminal_base import TerminalPlan, TerminalProcess
from kernels_app.node.resources import OWN_PROCESS_COUNT
from kernels_app.node.terminal_readers import Share, TerminalReaders

logger = logging.getLogger(__name__)

READ_BYTES = 64 << 10
# A program that prints without end gets this much of the wire, and kernels the rest.
RATE_BYTES_S = 4 << 20
TELL_INPUT_BYTES = 16 << 10
# Of all readers together; each sends at most INPUT_WINDOW_BYTES ahead.
MAX_WAITING_INPUT_BYTES = 16 * INPUT_WINDOW_BYTES
# From the hang-up to the kill.
HANG_UP_S = 1.0
# After the end: what was printed last still goes out, and who comes late is told.
DRAIN_BYTES = 256 << 10
LINGER_S = 30.0
FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0

AnyReaderCommand = AttachReader | ConfirmOutput | TerminalInput | ResizeTerminal | DetachReader


class Terminal:
    """`run` is its one task; all else returns at once."""

    def __init__(
        self,
        command: StartTerminal,
        plan: TerminalPlan,
        process: TerminalProcess,
        *,
        transport: Transport,
        clock_ms: Callable[[], int],
    ) -> None:
        self.info: TerminalInfo = command.info
        self.project_path = command.project_path
        self.last_activity_at = clock_ms()
        self.ended: TerminalEnded | None = None
        self.is_stopping = False
        # Set when it has ended and everybody at it was told, or after a while.
        self.has_ended = asyncio.Event()
        self._plan = plan
        self._process = process
        self._transport = transport
        self._clock_ms = clock_ms
        self._readers = TerminalReaders()
        self._descriptor = -1
        self._woken = asyncio.Event()
        self._is_readable = False
        self._is_writable_watched = False
        self._is_output_over = False
        self._input = bytearray()
        self._stop_reason = ""

    async def run(self) -> None:
        """Returns some time after the terminal has ended."""
        try:
            try:
                self._descriptor = await self._process.start(self._plan)
            except OSError as error:
                reason = short(
                    f"The terminal could not be started: {error.strerror or 'no terminal is free'}."
                )
                self._end(TerminalEnded(reason=reason))
            else:
                if self.is_stopping:
                    self._process.kill()
                self._write_input()  # what was typed before the shell was there
                await self._serve_shell()
            await self._serve_late_readers()
        finally:
            self._unwatch()
            await self._process.cleanup()
            self._descriptor = -1
            self.has_ended.set()

    def handle(self, command: AnyReaderCommand | StopTerminal) -> ReaderDropped | None:
        """What the reader must be told at once, if anything."""
        if isinstance(command, StopTerminal):
            self.stop(command.reason)
            return None
        now = self._clock_ms()
        is_known = command.reader_id in self._readers
        match command:
            case AttachReader():
                if not is_known:
                    self._readers.attach(command.reader_id, after=command.after, now_ms=now)
            case ConfirmOutput():
                self._readers.confirm(command.reader_id, command.up_to, now)
            case TerminalInput():
                self._take_input(self._readers.fresh_input(command.reader_id, command.offset, command.data))
            case ResizeTerminal():
                self._readers.resize(command.reader_id, command.rows, command.columns)
                self._fit()
            case DetachReader():
                self._readers.detach(command.reader_id)
                self._fit()
                is_known = True
            case _:
                assert_never(command)
        self._woken.set()
        return None if is_known or isinstance(command, AttachReader) else ReaderDropped()

    def stop(self, reason: str) -> None:
        """Hangs up, and kills what does not go. Nothing when it has ended."""
        if self.ended is not None or self.is_stopping:
            return
        self.is_stopping = True
        self._stop_reason = reason or "The terminal was closed."
        self._process.hang_up()
        asyncio.get_running_loop().call_later(HANG_UP_S, self._process.kill)

    def kill(self, reason: str) -> None:
        """Ends it at once."""
        self.stop(reason)
        self._process.kill()

    def check(self) -> list[ReaderId]:
        """Called about once a second. Readers that were dropped and must be told."""
        if self.ended is not None:
            return []
        now = self._clock_ms()
        slow = self._readers.take_gone(now)
        self._fit()
        self._woken.set()
        limits = self._plan.limits
        memory_limit_bytes = self._process.memory_limit_bytes
        if memory_limit_bytes is not None:
            used = self._process.memory_bytes()
            if used > memory_limit_bytes:
                self.kill(memory_reason(used, memory_limit_bytes))
        if limits.process_count is not None:
            count = self._process.process_count()
            if count > limits.process_count + OWN_PROCESS_COUNT:
                self.kill(processes_reason(count, limits.process_count))
        idle_s = (now - self.last_activity_at) / 1000
        if (
            limits.idle_timeout_s is not None
            and idle_s > limits.idle_timeout_s
            and not len(self._readers)
            and self._process.is_at_prompt()
        ):
            self.stop(f"Nobody had used the terminal for {_duration(limits.idle_timeout_s)}.")
        return slow

    # The shell

    async def _serve_shell(self) -> None:
        exited = asyncio.create_task(self._process.wait())
        exited.add_done_callback(lambda _: self._woken.set())
        self._watch_output()
        try:
            while not exited.done():
                await self._woken.wait()
                self._woken.clear()
                size = self._read(min(READ_BYTES, self._readers.room_bytes))
                await self._send()
                await asyncio.sleep(size / RATE_BYTES_S)
        finally:
            exited.cancel()
        self._is_readable = True
        self._read(DRAIN_BYTES)
        self._end(
            TerminalEnded(reason=self._stop_reason or _ending(exited.result()), exit_code=exited.result())
        )

    async def _serve_late_readers(self) -> None:
        loop = asyncio.get_running_loop()
        over_at = loop.time() + LINGER_S
        while True:
            await self._send()
            if not len(self._readers):
                self.has_ended.set()
            try:
                async with asyncio.timeout_at(over_at):
                    await self._woken.wait()
            except TimeoutError:
                return
            self._woken.clear()

    def _end(self, ended: TerminalEnded) -> None:
        self._unwatch()
        self._input.clear()
        self.ended = ended
        self._woken.set()

    # Output

    def _read(self, room_bytes: int) -> int:
        """Takes in what the shell has printed, at most this much; how much it was."""
        size = 0
        while self._is_readable and not self._is_output_over and size < room_bytes:
            try:
                data = os.read(self._descriptor, room_bytes - size)
            except (BlockingIOError, InterruptedError):
                self._watch_output()
                break
            except OSError:  # EIO: nobody has the terminal any more
                data = b""
            if not data:
                self._is_output_over = True
                break
            size += len(data)
            self._readers.append(data)
        if size:
            self.last_activity_at = self._clock_ms()
        if self._is_readable and not self._is_output_over and self._readers.may_grow:
            self._woken.set()
        return size

    async def _send(self) -> None:
        """Writes what is due to the readers. When the wire is away it waits a little and comes back later."""
        retry_s = FIRST_RETRY_S
        while True:
            shares = list(self._readers.due(tell_input_bytes=TELL_INPUT_BYTES, unwritten=len(self._input)))
            finished = self._readers.finished() if self.ended is not None and not shares else []
            publications = [_output(share) for share in shares]
            if self.ended is not None:
                publications += [
                    Publication(encode_terminal(self.ended), topic=reader_topic(reader_id))
                    for reader_id in finished
                ]
            if not publications:
                return
            try:
                await self._transport.write(publications)
            except TransportError:
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)
                continue
            now = self._clock_ms()
            for share in shares:
                self._readers.mark_sent(share, now)
            for reader_id in finished:
                self._readers.detach(reader_id)

    def _watch_output(self) -> None:
        if self._descriptor >= 0 and self.ended is None:
            self._is_readable = False
            asyncio.get_running_loop().add_reader(self._descriptor, self._on_readable)

    def _on_readable(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._is_readable = True
        self._woken.set()

    # Input

    def _take_input(self, data: bytes) -> None:
        if self.ended is not None:
            return
        self.last_activity_at = self._clock_ms()
        if len(self._input) + len(data) > MAX_WAITING_INPUT_BYTES:
            logger.warning("Input of terminal %s was dropped: too much of it waits.", self.info.terminal_id)
            return
        self._input += data
        self._write_input()

    def _write_input(self) -> None:
        loop = asyncio.get_running_loop()
        while self._input and self._descriptor >= 0:
            try:
                written = os.write(self._descriptor, self._input[:4096])
            except (BlockingIOError, InterruptedError):
                written = 0
            except OSError:
                self._input.clear()
                break
            if not written:
                if not self._is_writable_watched:
                    self._is_writable_watched = True
                    loop.add_writer(self._descriptor, self._write_input)
                return
            del self._input[:written]
        if self._is_writable_watched:
            self._is_writable_watched = False
            loop.remove_writer(self._descriptor)
        self._woken.set()

    def _fit(self) -> None:
        size = self._readers.size
        if size is not None and self.ended is None:
            self._process.resize(*size)

    def _unwatch(self) -> None:
        if self._descriptor >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._descriptor)
            loop.remove_writer(self._descriptor)
            self._is_writable_watched = False


def _output(share: Share) -> Publication:
    mail = TerminalOutput(offset=share.offset, data=share.data, input_taken=share.input_taken)
    return Publication(encode_terminal(mail), topic=reader_topic(share.reader_id))


def _ending(code: int) -> str:
    if code >= 0:
        return "The shell ended." if code == 0 else f"The shell ended (exit code {code})."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"The shell was ended by {name}."


def _duration(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds >= 7200 else f"{max(seconds // 60, 1)} min"
