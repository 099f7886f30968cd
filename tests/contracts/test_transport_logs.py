"""What every transport does with logs: entries, followers and groups."""

from __future__ import annotations

import asyncio

import pytest

from kernels_app.bus.identifiers import StreamId
from kernels_app.bus.opening import open_transport
from kernels_app.bus.transport import Entry, GroupEntry, Publication, Transport, TransportError
from tests.contracts.wires import DEADLINE_S, Wire, eventually, write_until_it_works


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
