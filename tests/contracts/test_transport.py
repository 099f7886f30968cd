"""What every transport does with topics, leases and values, for all who share it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kernels_app.bus.identifiers import StreamId
from kernels_app.bus.opening import open_blocking_transport, open_transport
from kernels_app.bus.transport import Entry, Publication, Transport, TransportError
from tests.contracts.wires import DEADLINE_S, Wire, eventually, write_until_it_works


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


async def test_casts_arrive_in_order_without_a_reply_and_between_what_is_asked_for(
    transport: Transport,
) -> None:
    heard: list[bytes | None] = []
    await transport.subscribe("topic", heard.append)
    await transport.ready()
    for number in range(50):
        transport.cast("topic", b"%d" % number)
        if number % 10 == 0:
            await transport.put_value(f"key{number}", b"value")  # its reply is its own
    transport.cast("topic", b"x" * 3_000_000)
    assert await transport.get_value("key40") == b"value"
    await eventually(lambda: len(heard) == 51)
    assert heard[:50] == [b"%d" % number for number in range(50)]
    assert heard[50] == b"x" * 3_000_000


async def test_a_cast_without_a_connection_is_refused_and_a_new_connection_has_another_number(
    transport: Transport, wire: Wire
) -> None:
    number = await transport.ready()
    assert await transport.ready() == number
    transport.cast("topic", b"to nobody")
    wire.interrupt()
    await eventually(lambda: _is_refused(transport))
    wire.resume()
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                assert await transport.ready() != number
                break
            except TransportError:
                await asyncio.sleep(0.01)
    transport.cast("topic", b"again")


def _is_refused(transport: Transport) -> bool:
    try:
        transport.cast("topic", b"x")
    except TransportError:
        return True
    return False


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


async def test_a_server_with_older_data_takes_no_lease_away(transport: Transport) -> None:
    older = await transport.acquire_lease("lease", holder="earlier", ttl_s=30)
    assert older is not None
    assert await transport.renew_lease("lease", holder="one", fence=older + 5, ttl_s=30)
    assert not await transport.renew_lease("lease", holder="earlier", fence=older, ttl_s=30)
    await transport.release_lease("lease", holder="one", fence=older + 5)
    assert not await transport.renew_lease("lease", holder="earlier", fence=older, ttl_s=30)
    assert await transport.renew_lease("lease", holder="one", fence=older + 7, ttl_s=30), "it had run out"
    assert await transport.read_lease("lease") == older + 7
    taken = await transport.acquire_lease("lease", holder="one", ttl_s=30)
    assert taken is not None
    assert taken > older + 7, "numbers only rise"


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
