"""The node as a whole: registers, follows its commands, stops in good order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from kernels_app.bus.envelopes import (
    DrainNode,
    KernelSpecInfo,
    NodeInfo,
    NodeKernels,
    NodeStarted,
    NodeStopped,
    decode_command,
)
from kernels_app.bus.identifiers import NodeId, StreamId, command_stream
from kernels_app.bus.terminals import TERMINALS_LABEL, TerminalCommand
from kernels_app.bus.transport import FROM_START, Transport, TransportError
from kernels_app.node.config import NodeConfig
from kernels_app.node.hosting import KernelHost
from kernels_app.node.isolation import Isolation
from kernels_app.node.kernelspec_logos import publish_logos
from kernels_app.node.launching import Launcher
from kernels_app.node.life import NodeLife
from kernels_app.node.outbox import Outbox
from kernels_app.node.provisioners.processes import machine_memory_bytes, usable_cpu_count
from kernels_app.node.provisioners.terminal_base import MakeTerminal
from kernels_app.node.records import KernelRecord
from kernels_app.node.registration import LeaseLost, Registration
from kernels_app.node.storage_watch import StorageWatch
from kernels_app.node.terminal_host import TerminalHost
from kernels_app.node.zeromq.channels import KernelContext

logger = logging.getLogger(__name__)

LIMIT_CHECK_S = 0.5
IDLE_LIMIT_CHECK_S = 2.0
MEASURE_S = 5.0
TRIM_S = 1.0
KERNELSPECS_S = 30.0
RETRY_S = 0.5
# Kept of the time to stop for what comes after the kernels: last outputs, then the lease.
FLUSH_S = 2.0
RELEASE_S = 1.0
_PROVISIONERS = {"process": "process", "sandbox": "sandbox", "container": "docker"}


def interruption_topic(node_id: NodeId) -> str:
    """Nothing is published there: its listener is told of interruptions of the wire."""
    return f"node:{node_id}:wire"


class Supervisor:
    """Owns every task of the node. One `run` an instance."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        transport: Transport,
        launcher: Launcher,
        context: KernelContext,
        clock_ms: Callable[[], int],
        isolation: Isolation,
        make_terminal: MakeTerminal | None = None,
    ) -> None:
        """Without `make_terminal` the node has no terminals."""
        self._config = config
        self._transport = transport
        self._launcher = launcher
        self._context = context
        self._clock_ms = clock_ms
        self._isolation = isolation
        self._make_terminal = make_terminal
        self._outbox = Outbox(transport, clock_ms)
        self._registration = Registration(
            transport, config.node_id, config.holder, info=self._info, kernels=self._kernels
        )
        self._kernelspecs: list[KernelSpecInfo] = []
        self._position = FROM_START
        self._moved = asyncio.Event()
        self._host: KernelHost | None = None
        self._terminals: TerminalHost | None = None
        self._storage: StorageWatch | None = None
        self._stopping = asyncio.Event()
        self._adopted: list[KernelRecord] = []
        self._is_draining = False

    def stop(self) -> None:
        """Ends the node in good order; a second call changes nothing."""
        self._stopping.set()

    def kernel_counts(self) -> dict[str, int]:
        """Live kernels by state; may be called from any thread."""
        return {} if self._host is None else self._host.count_by_state()

    def terminal_count(self) -> int:
        return 0 if self._terminals is None else self._terminals.terminal_count

    async def run(self) -> None:
        """Returns when `stop` was called. Raises LeaseHeld, LeaseLost."""
        self._kernelspecs = await asyncio.to_thread(self._launcher.kernelspecs.all)
        if not await self._or_stopped(self._register()):
            return
        lost: LeaseLost | None = None
        async with asyncio.TaskGroup() as tasks:
            life = NodeLife(
                node_id=self._config.node_id,
                fence=self._registration.fence,
                transport=self._transport,
                outbox=self._outbox,
                launcher=self._launcher,
                clock_ms=self._clock_ms,
            )
            host = self._host = KernelHost(
                tasks,
                life,
                context=self._context,
                start_timeout_s=self._config.start_timeout_s,
                output_limits=self._config.output_limits,
                catch_up=self._catch_up,
            )
            terminals = self._terminals = TerminalHost(tasks, life, make_terminal=self._make_terminal)
            storage = self._storage = StorageWatch(
                life,
                host,
                terminals,
                projects_root=self._config.projects_root,
                reserve_bytes=self._config.disk_reserve_bytes,
            )
            host.on_start = terminals.on_start = storage.wake
            outbox_task = tasks.create_task(self._outbox.run())
            for record in self._adopted:
                await host.adopt(record)
            background = [
                tasks.create_task(work)
                for work in (
                    self._follow_commands(host, terminals),
                    terminals.watch(),
                    host.relay.run(),
                    self._hear_interruptions(host),
                    self._watch_limits(host),
                    storage.run(),
                    self._measure(host),
                    self._trim_commands(),
                    self._refresh_kernelspecs(),
                )
            ]
            logger.info("Node %s is up (fence %d).", self._config.node_id, self._registration.fence)
            try:
                await self._or_stopped(self._registration.keep())
                await self._shut_down(host, terminals)
            except LeaseLost as error:
                lost = error
                logger.error("%s Its kernels end now.", error)
                await host.end_all("lost", "The hub gave its node up.")
                await terminals.end_all("The hub gave its node up.")
            host.cancel()
            terminals.cancel()
            for task in (outbox_task, *background):
                task.cancel()
        if lost is not None:
            raise lost

    async def _or_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether the work ended before the node was told to stop; then it is cancelled."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return True
            return False
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def _register(self) -> None:
        fence = await self._registration.acquire()
        # Commands up to here were for an earlier life: nobody knows the new number yet.
        while True:
            try:
                self._position = await self._last_command()
                await self._registration.publish()
                break
            except TransportError:
                await asyncio.sleep(RETRY_S)
        # Only now: with the lease no other life of this node is still at work on them.
        self._adopted = await self._launcher.adoptable()
        self._outbox.event(
            NodeStarted(
                node_id=self._config.node_id,
                fence=fence,
                at=self._clock_ms(),
                info=msgspec.json.encode(self._info(fence)),
                adopted=[record.command.kernel_id for record in self._adopted],
            )
        )

    async def _last_command(self) -> StreamId:
        return await self._transport.last_id(command_stream(self._config.node_id)) or FROM_START

    async def _follow_commands(self, host: KernelHost, terminals: TerminalHost) -> None:
        stream = command_stream(self._config.node_id)
        async for entry in self._transport.follow_log(stream, after=self._position):
            try:
                command = decode_command(entry.payload)
            except msgspec.MsgspecError as error:
                logger.warning("A command cannot be read: %s", error)
            else:
                try:
                    if isinstance(command, DrainNode):
                        await self._drain(command)
                    elif isinstance(command, TerminalCommand):
                        terminals.handle(command)
                    else:
                        host.handle(command)
                except Exception:
                    # One command's failure must not stop those for the other kernels.
                    kernel_id = getattr(command, "kernel_id", "")
                    logger.exception("A command failed: %s for kernel %s", type(command).__name__, kernel_id)
            self._position = entry.id
            self._moved.set()

    async def _catch_up(self) -> None:
        """Returns when each command that is on the wire now was handled."""
        last = _as_pair(await self._last_command())
        while _as_pair(self._position) < last:
            self._moved.clear()
            await self._moved.wait()

    async def _drain(self, command: DrainNode) -> None:
        """At once in the list of nodes: from then on nobody sends new kernels here."""
        if command.fence != self._registration.fence or command.is_draining == self._is_draining:
            return
        self._is_draining = command.is_draining
        logger.info(
            "Node %s %s.",
            self._config.node_id,
            "is drained: it gets no new kernels" if self._is_draining else "takes kernels again",
        )
        try:
            await self._registration.publish()
        except TransportError:
            return  # with the next renewal

    async def _trim_commands(self) -> None:
        """Forgets commands that were handled."""
        trimmed = self._position
        while True:
            await asyncio.sleep(TRIM_S)
            position = self._position
            if position != trimmed:
                try:
                    await self._transport.trim_log(command_stream(self._config.node_id), up_to=position)
                    trimmed = position
                except TransportError:
                    continue

    async def _hear_interruptions(self, host: KernelHost) -> None:
        def hear(payload: bytes | None) -> None:
            if payload is None:
                host.check_logs()

        while True:
            try:
                await self._transport.subscribe(interruption_topic(self._config.node_id), hear)
                return
            except TransportError:
                await asyncio.sleep(RETRY_S)

    async def _watch_limits(self, host: KernelHost) -> None:
        while True:
            await asyncio.sleep(LIMIT_CHECK_S if host.is_busy else IDLE_LIMIT_CHECK_S)
            host.check_limits()

    async def _measure(self, host: KernelHost) -> None:
        """Told once in a while: whether a limit is kept is watched far more often."""
        while True:
            await asyncio.sleep(MEASURE_S)
            host.measure(asyncio.get_running_loop().time())

    async def _refresh_kernelspecs(self) -> None:
        """A kernel installed later is offered without a restart."""
        while True:
            try:
                await publish_logos(self._transport, self._launcher.kernelspecs, self._kernelspecs)
            except Exception:
                logger.exception("The logos of kernels cannot be told.")
            await asyncio.sleep(KERNELSPECS_S)
            try:
                self._kernelspecs = await asyncio.to_thread(self._launcher.kernelspecs.all)
            except Exception:
                logger.exception("The kernelspecs cannot be read; those known before stay.")

    async def _shut_down(self, host: KernelHost, terminals: TerminalHost) -> None:
        """Ends kernels and terminals, writes what is left, gives the lease back; within the configured time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.shutdown_s
        logger.info("Node %s stops; %d kernels end.", self._config.node_id, host.kernel_count)
        if self._launcher.records is not None:
            await self._leave(host, terminals, deadline)
            return
        reason = "The hub was shut down."
        await asyncio.gather(
            _within(deadline - FLUSH_S - RELEASE_S, host.end_all("stopped", reason)),
            _within(deadline - FLUSH_S - RELEASE_S, terminals.end_all(reason)),
        )
        self._outbox.event(
            NodeStopped(node_id=self._config.node_id, fence=self._registration.fence, at=self._clock_ms())
        )
        await _within(deadline - RELEASE_S, host.flush_logs())
        await _within(deadline - RELEASE_S, self._outbox.flush())
        await _within(deadline, self._registration.release())

    async def _leave(self, host: KernelHost, terminals: TerminalHost, deadline: float) -> None:
        """The same where kernels outlive the node: no word of an end, and the lease runs out unless the next life,
        which is the same holder, is there before."""
        reason = "Its node was restarted."
        await asyncio.gather(
            _within(deadline - FLUSH_S - RELEASE_S, host.leave_all(reason)),
            _within(deadline - FLUSH_S - RELEASE_S, terminals.end_all(reason)),
        )
        await _within(deadline - RELEASE_S, host.flush_logs())
        await _within(deadline - RELEASE_S, self._outbox.flush())
        host.left()

    def _passing_warnings(self) -> list[str]:
        return [self._storage.warning] if self._storage is not None and self._storage.warning else []

    def _kernels(self, fence: int) -> NodeKernels:
        return NodeKernels(fence=fence, kernel_ids=[] if self._host is None else self._host.kernel_ids)

    def _info(self, fence: int) -> NodeInfo:
        return NodeInfo(
            node_id=self._config.node_id,
            fence=fence,
            provisioner=_PROVISIONERS[self._isolation.name],
            isolation=self._isolation.name,
            enforcement=self._isolation.enforcement,
            warnings=[*self._isolation.warnings, *self._passing_warnings()],
            kernelspecs=self._kernelspecs,
            memory_bytes=self._config.memory_bytes or machine_memory_bytes(),
            cpu_count=usable_cpu_count(),
            kernel_count=0 if self._host is None else self._host.kernel_count,
            labels={
                **self._config.labels,
                **({} if self._make_terminal is None else {TERMINALS_LABEL: "yes"}),
            },
            renewed_at=self._clock_ms(),
            slot_count=self._config.slot_count,
            is_draining=self._is_draining,
        )


def _as_pair(position: StreamId) -> tuple[int, int]:
    milliseconds, _, number = position.partition("-")
    return int(milliseconds), int(number or 0)


async def _within(deadline: float, work: Coroutine[Any, Any, None]) -> None:
    """Until the deadline (of the loop's clock); what is not done by then is left."""
    try:
        async with asyncio.timeout_at(deadline):
            await work
    except TimeoutError:
        logger.warning("The node stops without waiting longer.")
    except TransportError as error:
        logger.warning("The node stops without the wire: %s", error)
