"""What every transport does: one suite for the in-memory twin and for a real Valkey."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

import pytest

from kernels_app.bus.identifiers import StreamId
from kernels_app.bus.memory_store import forget_memory_store, memory_store
from kernels_app.bus.opening import open_blocking_transport, open_transport
from kernels_app.bus.transport import Entry, GroupEntry, Publication, Transport, TransportError
from tests.kernels_app.bus.valkey_server import ValkeyServer

DEADLINE_S = 10


class Wire(Protocol):
    """A transport's address, and the means to interrupt it."""

    url: str

    def interrupt(self) -> None: ...

    def resume(self) -> None: ...


class MemoryWire:
    url = "memory://contract"

    def interrupt(self) -> None:
        memory_store("contract").set_down(True)

    def resume(self) -> None:
        memory_store("contract").set_down(False)


class ValkeyWire:
    def __init__(self, server: ValkeyServer) -> None:
        self._server = server
        self.url = server.url

    def interrupt(self) -> None:
        self._server.kill()

    def resume(self) -> None:
        self._server.start()


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.integration)])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    if request.param == "memory":
        forget_memory_store("contract")
        yield MemoryWire()
        return
    server = ValkeyServer()
    server.start()
    yield ValkeyWire(server)
    server.close()


@pytest.fixture
async def transport(wire: Wire) -> AsyncIterator[Transport]:
    opened = open_transport(wire.url)
    yield opened
    await opened.close()


async def eventually(condition: Callable[[], bool]) -> None:
    """Lets the event loop run until the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def write_until_it_works(transport: Transport, publication: Publication) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                await transport.write([publication])
                return
            except TransportError:
                await asyncio.sleep(0.01)


async def test_an_absent_log_is_empty(transport: Transport) -> None:
    assert await transport.read_log("log") == []
    assert await transport.last_id("log") is None
    await transport.trim_log("log", up_to=StreamId("5-0"))
    await transport.delete_log("log")


async def test_entries_come_back_in_order_and_after_a_position(transport: Transport) -> None:
    ids = await transport.write([Publication(b"%d" % number, log="log") for number in range(5)])
    given = [entry_id for entry_id in ids if entry_id is not None]
    assert len(set(given)) == 5
    assert [entry.payload for entry in await transport.read_log("log")] == [b"0", b"1", b"2", b"3", b"4"]
    assert await transport.read_log("log", after=given[2]) == [Entry(given[3], b"3"), Entry(given[4], b"4")]
    assert [entry.payload for entry in await transport.read_log("log", count=2)] == [b"0", b"1"]
    assert await transport.last_id("log") == given[4]


async def test_payloads_are_kept_byte_for_byte(transport: Transport) -> None:
    payloads = [b"", b"\r\n$5\r\n", bytes(range(256)) * 4, b"x" * 3_000_000]
    await transport.write([Publication(payload, log="log") for payload in payloads])
    assert [entry.payload for entry in await transport.read_log("log")] == payloads


async def test_an_id_that_is_not_above_the_last_is_refused_and_the_rest_is_written(
    transport: Transport,
) -> None:
    assert await transport.write([Publication(b"a", log="log", entry_id=StreamId("7-0"))]) == ["7-0"]
    results = await transport.write(
        [
            Publication(b"again", log="log", entry_id=StreamId("7-0")),
            Publication(b"below", log="log", entry_id=StreamId("6-9")),
            Publication(b"b", log="log", entry_id=StreamId("8-0")),
        ]
    )
    assert results == [None, None, "8-0"]
    assert [entry.payload for entry in await transport.read_log("log")] == [b"a", b"b"]


async def test_ids_of_large_sequence_numbers_keep_their_order(transport: Transport) -> None:
    ids = [StreamId(f"{(5 << 32) | 9}-0"), StreamId(f"{(5 << 32) | 10}-0"), StreamId(f"{(6 << 32) | 1}-0")]
    for entry_id in ids:
        assert await transport.write([Publication(b"x", log="log", entry_id=entry_id)]) == [entry_id]
    assert [entry.id for entry in await transport.read_log("log", after=ids[0])] == ids[1:]


async def test_a_trimmed_log_forgets_entries_but_not_its_last_id(transport: Transport) -> None:
    await transport.write([Publication(b"x", log="log", entry_id=StreamId(f"{n}-0")) for n in (1, 2, 3)])
    await transport.trim_log("log", up_to=StreamId("2-0"))
    assert [entry.id for entry in await transport.read_log("log")] == ["3-0"]
    await transport.trim_log("log", up_to=StreamId("3-0"))
    assert await transport.read_log("log") == []
    assert await transport.last_id("log") == "3-0"
    assert await transport.write([Publication(b"x", log="log", entry_id=StreamId("3-0"))]) == [None]
    await transport.delete_log("log")
    assert await transport.last_id("log") is None


async def test_a_follower_gets_what_is_there_and_what_comes(transport: Transport) -> None:
    await transport.write([Publication(b"0", log="log", entry_id=StreamId("1-0"))])
    await transport.write([Publication(b"1", log="log", entry_id=StreamId("2-0"))])
    seen: list[bytes] = []

    async def follow() -> None:
        async for entry in transport.follow_log("log", after=StreamId("1-0")):
            seen.append(entry.payload)

    task = asyncio.create_task(follow())
    await eventually(lambda: seen == [b"1"])
    await transport.write([Publication(b"2", log="log"), Publication(b"other", log="elsewhere")])
    await eventually(lambda: seen == [b"1", b"2"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await transport.write([Publication(b"3", log="log")])
    assert seen == [b"1", b"2"]


async def test_a_follower_survives_an_interruption_and_misses_nothing(
    transport: Transport, wire: Wire
) -> None:
    seen: list[bytes] = []

    async def follow() -> None:
        async for entry in transport.follow_log("log", after=StreamId("0-0")):
            seen.append(entry.payload)

    task = asyncio.create_task(follow())
    await transport.write([Publication(b"before", log="log")])
    await eventually(lambda: seen == [b"before"])
    wire.interrupt()
    with pytest.raises(TransportError):
        await transport.write([Publication(b"lost", log="log")])
    wire.resume()
    await write_until_it_works(transport, Publication(b"after", log="log"))
    await eventually(lambda: seen == [b"before", b"after"])
    task.cancel()


async def test_a_group_delivers_each_entry_until_it_is_acknowledged(transport: Transport) -> None:
    await transport.write(
        [Publication(b"a", log="one"), Publication(b"b", log="two"), Publication(b"c", log="one")]
    )

    async def read(count: int = 10) -> list[GroupEntry]:
        return await transport.read_group(
            ["one", "two"], group="recorder", consumer="r", count=count, wait_ms=50
        )

    first = await read()
    assert sorted((entry.stream, entry.payload) for entry in first) == [
        ("one", b"a"), ("one", b"c"), ("two", b"b"),
    ]  # fmt: skip
    assert sorted(await read(), key=str) == sorted(first, key=str)
    await transport.acknowledge(first, group="recorder")
    assert await read() == []
    assert await transport.read_log("one") == []
    await transport.write([Publication(b"d", log="two")])
    assert [entry.payload for entry in await read()] == [b"d"]


async def test_a_new_reader_of_the_same_consumer_gets_what_was_not_acknowledged(
    transport: Transport, wire: Wire
) -> None:
    await transport.write([Publication(b"a", log="one"), Publication(b"b", log="one")])
    got = await transport.read_group(["one"], group="recorder", consumer="r", count=1, wait_ms=50)
    assert [entry.payload for entry in got] == [b"a"]
    successor = open_transport(wire.url)
    try:
        again = await successor.read_group(["one"], group="recorder", consumer="r", count=9, wait_ms=50)
        assert [entry.payload for entry in again] == [b"a"]
        await successor.acknowledge(again, group="recorder")
        rest = await successor.read_group(["one"], group="recorder", consumer="r", count=9, wait_ms=50)
        assert [entry.payload for entry in rest] == [b"b"]
    finally:
        await successor.close()


async def test_a_group_reader_waits_for_the_next_entry(transport: Transport) -> None:
    reading = asyncio.create_task(
        transport.read_group(
            ["one", "two"], group="recorder", consumer="r", count=9, wait_ms=DEADLINE_S * 1000
        )
    )
    await asyncio.sleep(0)
    await transport.write([Publication(b"a", log="two")])
    async with asyncio.timeout(DEADLINE_S):
        assert [entry.payload for entry in await reading] == [b"a"]


async def test_a_cancelled_group_reader_loses_nothing(transport: Transport) -> None:
    reading = asyncio.create_task(
        transport.read_group(["one"], group="recorder", consumer="r", count=9, wait_ms=DEADLINE_S * 1000)
    )
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await transport.write([Publication(b"a", log="one")])
    got = await transport.read_group(
        ["one"], group="recorder", consumer="r", count=9, wait_ms=DEADLINE_S * 1000
    )
    assert [entry.payload for entry in got] == [b"a"]


async def test_a_group_survives_an_interruption(transport: Transport, wire: Wire) -> None:
    await transport.write([Publication(b"a", log="one")])
    got = await transport.read_group(["one"], group="recorder", consumer="r", count=9, wait_ms=50)
    wire.interrupt()
    with pytest.raises(TransportError):
        await transport.acknowledge(got, group="recorder")
    with pytest.raises(TransportError):
        await transport.read_group(["one"], group="recorder", consumer="r", count=9, wait_ms=50)
    wire.resume()
    await write_until_it_works(transport, Publication(b"b", log="one"))
    again = await transport.read_group(["one"], group="recorder", consumer="r", count=9, wait_ms=50)
    assert [entry.payload for entry in again] == [b"a"]
    await transport.acknowledge(again, group="recorder")
    rest = await transport.read_group(["one"], group="recorder", consumer="r", count=9, wait_ms=50)
    assert [entry.payload for entry in rest] == [b"b"]


async def test_a_listener_hears_its_topic_in_order_and_nothing_after_it_left(transport: Transport) -> None:
    heard: list[bytes | None] = []
    others: list[bytes | None] = []
    leave = await transport.subscribe("topic", heard.append)
    await transport.subscribe("topic", others.append)
    await transport.write(
        [Publication(b"%d" % number, topic="topic") for number in range(100)]
        + [Publication(b"x", topic="elsewhere")]
    )
    await eventually(lambda: len(heard) == 100 and len(others) == 100)
    assert heard == [b"%d" % number for number in range(100)]
    await leave()
    await leave()
    await transport.write([Publication(b"more", topic="topic")])
    await eventually(lambda: others[-1] == b"more")
    assert len(heard) == 100


async def test_one_publication_reaches_log_and_topic(transport: Transport) -> None:
    heard: list[bytes | None] = []
    await transport.subscribe("topic", heard.append)
    ids = await transport.write(
        [
            Publication(b"both", log="log", entry_id=StreamId("4-0"), topic="topic"),
            Publication(b"x", topic="t"),
        ]
    )
    assert ids == ["4-0", None]
    await eventually(lambda: heard == [b"both"])
    assert await transport.read_log("log") == [Entry(StreamId("4-0"), b"both")]


async def test_what_the_log_refuses_is_not_heard_on_the_topic(transport: Transport) -> None:
    heard: list[bytes | None] = []
    await transport.subscribe("topic", heard.append)

    def both(payload: bytes, entry_id: str) -> Publication:
        return Publication(payload, log="log", entry_id=StreamId(entry_id), topic="topic")

    ids = await transport.write(
        [both(b"a", "4-0"), both(b"late", "3-0"), both(b"again", "4-0"), both(b"b", "5-0")]
    )
    assert ids == ["4-0", None, None, "5-0"]
    await eventually(lambda: len(heard) >= 2)
    assert heard == [b"a", b"b"]


async def test_a_failing_listener_does_not_silence_the_others(transport: Transport) -> None:
    heard: list[bytes | None] = []

    def fail(payload: bytes | None) -> None:
        raise RuntimeError("a listener's mistake")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    await transport.subscribe("topic", fail)
    await transport.subscribe("topic", heard.append)
    await transport.write([Publication(b"1", topic="topic"), Publication(b"2", topic="topic")])
    await eventually(lambda: heard == [b"1", b"2"])


async def test_a_listener_is_told_of_an_interruption_and_then_hears_again(
    transport: Transport, wire: Wire
) -> None:
    heard: list[bytes | None] = []
    await transport.subscribe("topic", heard.append)
    await transport.write([Publication(b"before", topic="topic")])
    await eventually(lambda: heard == [b"before"])
    wire.interrupt()
    wire.resume()
    await eventually(lambda: heard == [b"before", None])
    await write_until_it_works(transport, Publication(b"after", topic="topic"))
    await eventually(lambda: heard == [b"before", None, b"after"])


async def test_a_lease_has_one_holder_and_rising_numbers(transport: Transport) -> None:
    first = await transport.acquire_lease("lease", holder="one", ttl_s=30)
    assert first is not None
    assert await transport.read_lease("lease") == first
    assert await transport.acquire_lease("lease", holder="two", ttl_s=30) is None
    assert await transport.renew_lease("lease", holder="one", fence=first, ttl_s=30)
    assert not await transport.renew_lease("lease", holder="two", fence=first, ttl_s=30)
    assert not await transport.renew_lease("lease", holder="one", fence=first - 1, ttl_s=30)
    await transport.release_lease("lease", holder="two", fence=first)
    assert await transport.acquire_lease("lease", holder="two", ttl_s=30) is None
    await transport.release_lease("lease", holder="one", fence=first)
    assert await transport.read_lease("lease") is None
    second = await transport.acquire_lease("lease", holder="two", ttl_s=30)
    assert second is not None
    assert second > first


async def test_the_same_holder_takes_its_lease_over_with_a_new_number(transport: Transport) -> None:
    first = await transport.acquire_lease("lease", holder="one", ttl_s=30)
    second = await transport.acquire_lease("lease", holder="one", ttl_s=30)
    assert first is not None
    assert second is not None
    assert second > first
    assert not await transport.renew_lease("lease", holder="one", fence=first, ttl_s=30)
    assert await transport.renew_lease("lease", holder="one", fence=second, ttl_s=30)


async def test_a_lease_tells_the_number_of_its_holder_while_it_lasts(transport: Transport) -> None:
    assert await transport.read_lease("lease") is None
    fence = await transport.acquire_lease("lease", holder="one", ttl_s=30)
    assert fence is not None
    assert await transport.read_lease("lease") == fence
    await transport.release_lease("lease", holder="one", fence=fence)
    assert await transport.read_lease("lease") is None


async def test_a_lease_that_ran_out_comes_back_only_if_nobody_took_it(transport: Transport) -> None:
    first = await transport.acquire_lease("lease", holder="one", ttl_s=0.02)
    assert first is not None
    await asyncio.sleep(0.05)
    assert await transport.renew_lease("lease", holder="one", fence=first, ttl_s=0.02)
    await asyncio.sleep(0.05)
    second = await transport.acquire_lease("lease", holder="two", ttl_s=0.02)
    assert second is not None
    assert second > first
    await asyncio.sleep(0.05)
    assert not await transport.renew_lease("lease", holder="one", fence=first, ttl_s=30)


async def test_values_and_fields_are_kept_and_forgotten(transport: Transport) -> None:
    assert await transport.get_value("key") is None
    await transport.put_value("key", b"\x00value")
    assert await transport.get_value("key") == b"\x00value"
    await transport.put_value("key", b"short", ttl_s=0.02)
    await asyncio.sleep(0.05)
    assert await transport.get_value("key") is None
    await transport.put_value("key", b"again")
    await transport.delete_value("key")
    assert await transport.get_value("key") is None
    assert await transport.get_fields("fields") == {}
    await transport.put_field("fields", "a", b"1")
    await transport.put_field("fields", "b", b"2")
    await transport.put_field("fields", "a", b"3")
    assert await transport.get_fields("fields") == {"a": b"3", "b": b"2"}
    await transport.delete_field("fields", "a")
    assert await transport.get_fields("fields") == {"b": b"2"}


async def test_many_writers_share_the_wire_without_mixing_results(transport: Transport) -> None:
    async def write(writer: int) -> None:
        log = f"log{writer}"
        for number in range(1, 51):
            entry_id = StreamId(f"{number}-{writer}")
            assert await transport.write([Publication(b"%d" % number, log=log, entry_id=entry_id)]) == [
                entry_id
            ]

    async with asyncio.TaskGroup() as writers:
        for writer in range(20):
            writers.create_task(write(writer))
    for writer in range(20):
        assert [entry.id for entry in await transport.read_log(f"log{writer}")] == [
            f"{number}-{writer}" for number in range(1, 51)
        ]


async def test_a_cancelled_write_leaves_the_wire_usable(transport: Transport) -> None:
    for _ in range(20):
        task = asyncio.create_task(transport.write([Publication(b"x" * 100_000, log="log")]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await transport.put_value("key", b"value")
        assert await transport.get_value("key") == b"value"


async def test_a_closed_transport_says_so(transport: Transport) -> None:
    await transport.write([Publication(b"x", log="log")])
    await transport.close()
    with pytest.raises(TransportError):
        await transport.write([Publication(b"x", log="log")])


async def test_synchronous_code_shares_the_wire(transport: Transport, wire: Wire) -> None:
    blocking = open_blocking_transport(wire.url)
    heard: list[bytes | None] = []
    await transport.subscribe("topic", heard.append)
    results: list[object] = []

    def use() -> None:
        results.append(
            blocking.write([Publication(b"a", log="log", entry_id=StreamId("3-0"), topic="topic")])
        )
        results.append(blocking.write([Publication(b"a", log="log", entry_id=StreamId("3-0"))]))
        results.append(blocking.read_log("log"))
        results.append(blocking.last_id("log"))
        results.append((blocking.log_length("log"), blocking.log_length("absent")))
        blocking.put_value("key", b"1")
        results.append(blocking.get_value("key"))
        blocking.delete_value("key")
        results.append(blocking.get_value("key"))
        results.append(blocking.get_fields("fields"))
        results.append(
            blocking.acquire_lease("lease", holder="reaper", ttl_s=30) == blocking.read_lease("lease")
        )
        blocking.trim_log("log", up_to=StreamId("3-0"))
        results.append(blocking.read_log("log"))

    await transport.put_field("fields", "a", b"1")
    threads = [threading.Thread(target=use)]
    for thread in threads:
        thread.start()
    await eventually(lambda: heard == [b"a"] and not threads[0].is_alive())
    assert results == [
        ["3-0"], [None], [Entry(StreamId("3-0"), b"a")], "3-0", (1, 0), b"1", None, {"a": b"1"}, True, [],
    ]  # fmt: skip
    assert await transport.acquire_lease("lease", holder="node", ttl_s=30) is None
    blocking.close()


async def test_synchronous_code_survives_an_interruption(wire: Wire) -> None:
    blocking = open_blocking_transport(wire.url)
    blocking.put_value("key", b"1")
    wire.interrupt()
    with pytest.raises(TransportError):
        blocking.get_value("key")
    wire.resume()
    assert blocking.get_value("key") == b"1"
    blocking.close()


def test_a_transport_serves_several_event_loops(wire: Wire) -> None:
    async def use(number: int) -> list[Entry]:
        opened = open_transport(wire.url)
        try:
            await opened.write([Publication(b"x", log="log", entry_id=StreamId(f"{number}-0"))])
            return await opened.read_log("log")
        finally:
            await opened.close()

    assert len(asyncio.run(use(1))) == 1
    assert len(asyncio.run(use(2))) == 2
