"""A client of kernel channels that asks for executions at a given rate and counts every answer by `msg_id`.

A process of its own, so that its CPU is not the server's: `python -m bench.load_client` reads a LoadPlan as one line
of JSON, connects, prints `ready`, waits for a line, loads, waits for the rest, prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import uuid

import msgspec
import uvloop

from bench.channel_frames import SUBPROTOCOLS, WireFormat, execute_request, received
from bench.load_socket import CannotConnect, LoadSocket, SocketClosed
from bench.measuring import quantile

CONNECTING_AT_ONCE = 8
RECONNECT_S = 20  # a server that is killed is back by then


class KernelAddress(msgspec.Struct, frozen=True):
    """One kernel's channels."""

    url: str
    headers: dict[str, str] = {}


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do. `streams` is what the code makes the kernel print: known before, so that loss is seen."""

    kernels: list[KernelAddress]
    wire_format: WireFormat = "v1"
    rate_per_s: float = 10
    duration_s: float = 10
    drain_s: float = 20
    streams: int = 1
    text_size: int = 0
    pause_ms: int = 0
    # At this time every socket is closed at once; it comes back with its session_id after `away_s`.
    reconnect_at_s: float | None = None
    away_s: float = 0.5
    # The first so many clients stop reading at a third of the time, for so long.
    stalled_clients: int = 0
    stall_s: float = 0


class LoadReport(msgspec.Struct, kw_only=True):
    """What came back. Latency is from sending to the last message of the execution."""

    sent: int
    completed: int
    messages_expected: int
    messages_lost: int
    duplicates: int
    unexpected: int
    closed: list[str]
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    others_p99_ms: float | None  # of the clients that did not stall
    lateness_p99_ms: float | None  # how late this client itself sent
    drained_s: float  # from the end of the load to the last answer
    reconnected_s: float | None
    resent: int
    client_cpu_s: float


class Execution:
    """What came back for one request so far."""

    __slots__ = ("ids", "seen", "sent_at")

    def __init__(self, sent_at: float) -> None:
        self.sent_at = sent_at
        self.ids: set[str] = set()
        self.seen = 0


class Client:
    """One socket to one kernel."""

    def __init__(self, number: int, plan: LoadPlan) -> None:
        self.plan = plan
        self.number = number
        self.kernel_session = uuid.uuid4().hex
        self.open: dict[str, Execution] = {}
        self.done_ids: dict[str, set[str]] = {}
        self.latencies_s: list[float] = []
        self.lateness_s: list[float] = []
        self.sent = self.duplicates = self.unexpected = self.resent = 0
        self.last_answer_at = 0.0
        self.closed: str | None = None
        self.reconnected_s: float | None = None
        self.is_stalled = number < plan.stalled_clients
        self._expected = plan.streams + 4
        self._code = f"{plan.streams} {plan.text_size} {plan.pause_ms}" if plan.streams else ""
        self._is_leaving = False
        self._coming_back: asyncio.Task[None] | None = None
        self._socket: LoadSocket | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    async def connect(self) -> None:
        kernel = self.plan.kernels[self.number]
        joint = "&" if "?" in kernel.url else "?"
        self._socket = await LoadSocket.connect(
            f"{kernel.url}{joint}session_id={self.kernel_session}",
            headers=kernel.headers,
            subprotocols=SUBPROTOCOLS[self.plan.wire_format],
            on_frame=self._count,
            on_closed=self._on_closed,
        )

    def _on_closed(self, words: str) -> None:
        self.closed = words
        if self.is_stalled and not self._is_leaving:
            self._coming_back = asyncio.create_task(self._come_back())

    def _count(self, frame: str | bytes) -> None:
        message = received(frame)
        execution = self.open.get(message.parent_id)
        if execution is None:
            ids = self.done_ids.get(message.parent_id)
            if ids is None:
                return  # a server asks the kernel in this name when it connects
            if message.msg_id in ids:
                self.duplicates += 1
            else:
                self.unexpected += 1
            return
        if message.msg_id in execution.ids:
            self.duplicates += 1
            return
        execution.ids.add(message.msg_id)
        execution.seen += 1
        if execution.seen == self._expected:
            self.last_answer_at = time.perf_counter()
            self.latencies_s.append(self.last_answer_at - execution.sent_at)
            self.done_ids[message.parent_id] = execution.ids
            del self.open[message.parent_id]
            if not self.open:
                self._empty.set()

    async def load(self, started_at: float) -> None:
        """Send at the rate, each client a little after the one before, until the time is over."""
        plan = self.plan
        count = round(plan.rate_per_s * plan.duration_s)
        offset = self.number / len(plan.kernels) / plan.rate_per_s
        for n in range(count):
            if time.perf_counter() > started_at + plan.duration_s:
                return  # held back by the server: the rest is not sent
            due = started_at + offset + n / plan.rate_per_s
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            await self._execute(due)

    async def _execute(self, due: float) -> None:
        assert self._socket is not None
        self.sent += 1
        msg_id = f"{self.kernel_session}_{self.sent}"
        execution = Execution(time.perf_counter())
        self.lateness_s.append(execution.sent_at - due)
        self.open[msg_id] = execution
        self._empty.clear()
        frame = execute_request(msg_id, self.kernel_session, self._code, self.plan.wire_format)
        while True:
            try:
                await self._socket.send(frame)
            except SocketClosed:
                if self.plan.reconnect_at_s is None and not self.is_stalled:
                    return
                await asyncio.sleep(0.01)  # away; the request did not go out
                execution.sent_at = time.perf_counter()
                self.resent += 1
                continue
            return

    async def reconnect(self) -> None:
        """Leave in good order (what the server sent before it is read), and come back as the same client."""
        assert self._socket is not None
        self._is_leaving = True
        await self._socket.close()
        self._is_leaving = False
        self.closed = None
        await asyncio.sleep(self.plan.away_s)
        await self._come_back()

    async def _come_back(self) -> None:
        """Connect again with the same session_id."""
        begun = time.perf_counter()
        while True:
            try:
                await self.connect()
            except CannotConnect:
                if time.perf_counter() - begun > RECONNECT_S:
                    raise
                await asyncio.sleep(0.1)
                continue
            break
        self.reconnected_s = time.perf_counter() - begun

    async def stall(self) -> None:
        assert self._socket is not None
        self._socket.stop_reading()
        await asyncio.sleep(self.plan.stall_s)
        self._socket.read_again()

    async def drained(self) -> None:
        await self._empty.wait()

    async def close(self) -> None:
        self._is_leaving = True
        if self._socket is not None:
            await self._socket.close()


async def load(plan: LoadPlan) -> LoadReport:
    clients = [Client(number, plan) for number in range(len(plan.kernels))]
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def connect_one(client: Client) -> None:
        async with gate:
            await client.connect()

    await asyncio.gather(*map(connect_one, clients))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    started_at, cpu_before = time.perf_counter(), time.process_time()

    async def later(delay_s: float, affected: list[Client], name: str) -> None:
        await asyncio.sleep(delay_s)
        await asyncio.gather(*(getattr(client, name)() for client in affected))

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.load(started_at))
        if plan.reconnect_at_s is not None:
            group.create_task(later(plan.reconnect_at_s, clients, "reconnect"))
        if plan.stalled_clients:
            group.create_task(later(plan.duration_s / 3, clients[: plan.stalled_clients], "stall"))
    ended_at = time.perf_counter()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(plan.drain_s):
            await asyncio.gather(*(client.drained() for client in clients))
    report = report_of(clients, plan, ended_at, time.process_time() - cpu_before)
    await asyncio.gather(*(client.close() for client in clients), return_exceptions=True)
    return report


def report_of(clients: list[Client], plan: LoadPlan, ended_at: float, client_cpu_s: float) -> LoadReport:
    expected = plan.streams + 4
    latencies = [value for client in clients for value in client.latencies_s]
    others = [value for client in clients if not client.is_stalled for value in client.latencies_s]
    sent = sum(client.sent for client in clients)
    return LoadReport(
        sent=sent,
        completed=len(latencies),
        messages_expected=sent * expected,
        messages_lost=sum(expected - e.seen for client in clients for e in client.open.values()),
        duplicates=sum(client.duplicates for client in clients),
        unexpected=sum(client.unexpected for client in clients),
        closed=[client.closed for client in clients if client.closed is not None],
        p50_ms=_ms(latencies, 0.5),
        p99_ms=_ms(latencies, 0.99),
        max_ms=_ms(latencies, 1),
        others_p99_ms=_ms(others, 0.99),
        lateness_p99_ms=_ms([value for client in clients for value in client.lateness_s], 0.99),
        drained_s=round(max(0.0, max(client.last_answer_at for client in clients) - ended_at), 3),
        reconnected_s=max((c.reconnected_s for c in clients if c.reconnected_s is not None), default=None),
        resent=sum(client.resent for client in clients),
        client_cpu_s=round(client_cpu_s, 2),
    )


def _ms(values: list[float], q: float) -> float | None:
    return round(quantile(values, q) * 1000, 2) if values else None


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=LoadPlan)
    report = uvloop.run(load(plan))
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")


if __name__ == "__main__":
    main()
