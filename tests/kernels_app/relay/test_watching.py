"""Whoever watches gets each operation once and in order: rows, log and topic leave no gap and no overlap."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import msgspec
import pytest

from kernels_app.bus.identifiers import (
    run_log,
    run_rows_replaced,
    run_topic,
)
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.operations import ROWS_REPLACED
from kernels_app.bus.transport import Publication
from kernels_app.errors import NotFound, TooSlow
from kernels_app.relay import feeds, watching
from kernels_app.relay.feeds import Relay
from kernels_app.relay.watching import Watcher
from tests.kernels_app.relay.watched_world import (
    CELLS,
    DEADLINE_S,
    DOCUMENT_ID,
    KEY,
    Browser,
    World,
    WorldRows,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(watching, "LAST_RETRY_S", 0.005)


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def relay(world: World) -> AsyncIterator[Relay]:
    transport = MemoryTransport(world.store)
    yield Relay(transport)
    await transport.close()


@pytest.fixture
async def browser(world: World, relay: Relay) -> AsyncIterator[Browser]:
    browser = Browser(world, relay)
    yield browser
    await browser.disconnect()


async def test_a_document_that_is_gone_ends_the_frames(world: World, relay: Relay) -> None:
    world.is_gone = True
    feed, listener = await relay.attach(DOCUMENT_ID)
    with pytest.raises(NotFound):
        await anext(Watcher(relay.transport, feed, listener, WorldRows(world)).frames(0))
    with pytest.raises(NotFound):
        await anext(Watcher(relay.transport, feed, listener, WorldRows(world)).frames(5))


async def test_what_the_rows_do_not_have_yet_comes_from_the_log(world: World, browser: Browser) -> None:
    for _ in range(5):
        world.write_operation()
    world.record(3)
    browser.connect()
    await browser.caught_up()
    assert browser.snapshot_count == 1


async def test_resume_brings_what_was_missed_and_no_snapshot(world: World, browser: Browser) -> None:
    browser.connect()
    await browser.caught_up()
    await browser.disconnect()
    for _ in range(700):
        world.write_operation()
    world.record(1_000)
    browser.connect()
    await browser.caught_up()
    assert (browser.snapshot_count, browser.resumed_count) == (1, 1)


async def test_who_was_away_past_the_trim_gets_a_snapshot(world: World, browser: Browser) -> None:
    browser.connect()
    await browser.caught_up()
    await browser.disconnect()
    for _ in range(50):
        world.write_operation()
    world.record(100)
    world.trim(keep=5)
    browser.connect()
    await browser.caught_up()
    assert (browser.snapshot_count, browser.resumed_count) == (2, 0)


async def test_a_number_from_another_life_gets_a_snapshot(world: World, browser: Browser) -> None:
    browser.seq = world.seq + 1_000
    browser.connect()
    async with asyncio.timeout(DEADLINE_S):
        while browser.snapshot_count == 0:
            await asyncio.sleep(0)
    await browser.caught_up()


async def test_a_log_that_the_message_server_lost_is_made_up_for_by_a_snapshot(
    world: World, browser: Browser
) -> None:
    browser.connect()
    await browser.caught_up()
    await browser.disconnect()
    world.write_operation()
    world.record(10)
    world.store.delete_log(run_log(KEY))
    browser.connect()
    await browser.caught_up()
    assert browser.snapshot_count == 2


async def test_an_interruption_is_made_up_for_from_the_log(world: World, browser: Browser) -> None:
    await browser.hears()
    world.write_unheard(3)
    world.interrupt()
    await browser.caught_up()
    assert browser.snapshot_count == 1


async def test_a_gap_on_the_topic_is_filled_from_the_log(world: World, browser: Browser) -> None:
    await browser.hears()
    world.write_unheard()
    world.write_operation()
    await browser.caught_up()


def replace_rows(world: World) -> None:
    """As a program does that saves a notebook with outputs."""
    for cells in (world.rows, world.truth):
        cells[CELLS[0]]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "saved\n"}]
    world.store.put_value(run_rows_replaced(KEY), b"1", None)


async def has_snapshots(browser: Browser, count: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while browser.snapshot_count < count:
            await asyncio.sleep(0.001)


async def test_outputs_that_were_put_into_the_rows_come_at_once(world: World, browser: Browser) -> None:
    await browser.hears()
    world.record(10)
    replace_rows(world)
    world.store.write([Publication(ROWS_REPLACED, topic=run_topic(KEY))])
    await has_snapshots(browser, 2)
    world.write_operation()  # and what comes after goes on top
    await browser.caught_up()


async def test_outputs_that_were_put_into_the_rows_meanwhile_come_with_the_connection(
    world: World, browser: Browser
) -> None:
    await browser.hears()
    await browser.disconnect()
    world.record(10)
    replace_rows(world)
    browser.connect()
    await has_snapshots(browser, 2)
    await browser.caught_up()
    assert (browser.snapshot_count, browser.resumed_count) == (2, 0)


async def test_outputs_that_were_put_into_the_rows_during_an_interruption_come_after_it(
    world: World, browser: Browser
) -> None:
    await browser.hears()
    world.record(10)
    replace_rows(world)
    world.interrupt()
    await has_snapshots(browser, 2)
    await browser.caught_up()


async def test_the_last_word_of_one_writer_is_not_lost_when_the_next_begins(
    world: World, browser: Browser
) -> None:
    await browser.hears()
    world.write_unheard()
    world.next_writer()
    world.write_operation()
    await browser.caught_up()


async def test_sockets_at_one_document_share_one_subscription(world: World, relay: Relay) -> None:
    browsers = [Browser(world, relay) for _ in range(5)]
    for browser in browsers:
        browser.connect()
    for browser in browsers:
        await browser.caught_up()
    assert relay.feed_count == 1
    assert len(world.store._listeners[run_topic(KEY)]) == 1
    for browser in browsers:
        await browser.disconnect()
    assert relay.feed_count == 0
    assert run_topic(KEY) not in world.store._listeners


async def test_comm_frames_pass_beside_the_log(world: World, relay: Relay) -> None:
    feed, listener = await relay.attach(DOCUMENT_ID)
    frames = Watcher(relay.transport, feed, listener, WorldRows(world)).frames(0)
    assert msgspec.json.decode(await anext(frames))["type"] == "snapshot"
    assert msgspec.json.decode(await anext(frames))["type"] == "ops"
    comm = b'{"type":"comm","message_type":"comm_msg","content":{}}'
    world.store.write([Publication(comm, topic=run_topic(KEY))])
    assert await anext(frames) == comm
    await frames.aclose()


async def test_comm_frames_that_nobody_takes_end_the_socket(
    world: World, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MAX_COMM_BYTES", 100)
    feed, listener = await relay.attach(DOCUMENT_ID)
    frames = Watcher(relay.transport, feed, listener, WorldRows(world)).frames(0)
    await anext(frames)
    for _ in range(5):
        feed.hear(b'{"type":"comm","content":{"much":"much"}}')

    async def take_all() -> None:
        async for _ in frames:
            pass

    with pytest.raises(TooSlow):
        await take_all()


@pytest.mark.parametrize("seed", range(40))
async def test_in_any_order_of_events_everybody_gets_everything_once(
    world: World, relay: Relay, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    browsers = [Browser(world, relay, random.Random(seed * 10 + number)) for number in range(3)]
    try:
        for _ in range(150):
            match chance.randrange(20):
                case 0:
                    await chance.choice(browsers).disconnect()
                case 1 | 2 | 3:
                    browser = chance.choice(browsers)
                    await browser.disconnect()
                    browser.connect()
                case 4:
                    world.store.set_down(True)
                    await asyncio.sleep(chance.random() * 0.003)
                    world.store.set_down(False)
                case 14:
                    world.write_unheard(chance.randrange(1, 4))
                    if chance.randrange(2):
                        world.interrupt()
                case 5 | 6 | 7:
                    world.record(chance.randrange(1, 30))
                case 8:
                    world.trim(keep=chance.randrange(6))
                case 9:
                    world.next_writer()
                case 10:
                    world.publish_again()
                case 11:
                    await asyncio.sleep(chance.random() * 0.003)
                case 12 | 13:
                    await asyncio.sleep(0)
                case _:
                    world.write_operation(count=chance.randrange(1, 4))
        world.interrupt()  # what was written last may be unheard
        for browser in browsers:
            if not browser.is_connected:
                browser.connect()
        for browser in browsers:
            await browser.caught_up()
    finally:
        for browser in browsers:
            await browser.disconnect()
