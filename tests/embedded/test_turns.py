"""Requests that come at once take turns, and nothing that waits keeps the others out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from zasper_hub.turns import RequestTurns

DEADLINE_S = 20


class Requests:
    """An application whose requests go on when they are told to."""

    def __init__(self, *, at_once: int = 2, counted_s: float = DEADLINE_S) -> None:
        self.turns = RequestTurns(self._run, at_once=at_once, counted_s=counted_s)
        self.running: list[str] = []
        self.order: list[str] = []
        self._go_on: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        name = scope["path"]
        self.order.append(name)
        self.running.append(name)
        try:
            await self._go_on[name].wait()
            if "fails" in name:
                raise RuntimeError(name)
        finally:
            self.running.remove(name)

    async def come(self, *names: str) -> None:
        for name in names:
            self._go_on[name] = asyncio.Event()
            root = "/hub" if name.startswith("/hub/") else ""
            scope = {"type": "http", "path": name, "root_path": root}
            self._tasks[name] = asyncio.create_task(self.turns(scope, None, None))
        await self.settled()

    async def end(self, *names: str) -> None:
        for name in names:
            self._go_on[name].set()
            await asyncio.wait([self._tasks[name]], timeout=DEADLINE_S)
            self._tasks[name].exception()
        await self.settled()

    async def leave(self, name: str) -> None:
        """The client is gone."""
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]], timeout=DEADLINE_S)
        await self.settled()

    async def settled(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_so_many_run_and_the_others_follow_in_their_order() -> None:
    requests = Requests()
    await requests.come("a", "b", "c", "d")
    assert requests.running == ["a", "b"]
    await requests.end("b")
    assert requests.running == ["a", "c"]
    await requests.end("a", "c", "d")
    await requests.come("e", "f", "g")
    assert requests.running == ["e", "f"]
    assert requests.order == ["a", "b", "c", "d", "e", "f"]


async def test_a_request_that_fails_passes_its_turn_on() -> None:
    requests = Requests(at_once=1)
    await requests.come("fails", "next")
    await requests.end("fails")
    assert requests.running == ["next"]


@pytest.mark.parametrize("leaving", ["a", "b"])
async def test_who_leaves_running_or_waiting_keeps_nobody_out(leaving: str) -> None:
    requests = Requests(at_once=1)
    await requests.come("a", "b", "c")
    await requests.leave(leaving)
    await requests.end(*({"a", "b"} - {leaving}))
    assert requests.running == ["c"]
    await requests.end("c")
    await requests.come("d", "e")
    assert requests.running == ["d"]


async def test_who_leaves_in_the_moment_of_their_turn_passes_it_on() -> None:
    requests = Requests(at_once=1)
    await requests.come("a", "b", "c")
    requests._go_on["a"].set()
    await asyncio.wait([requests._tasks["a"]], timeout=DEADLINE_S)  # b has the turn, and has not run yet
    await requests.leave("b")
    assert requests.running == ["c"]


async def test_requests_that_take_long_do_not_count_for_ever() -> None:
    requests = Requests(counted_s=0.01)
    await requests.come("long 1", "long 2", "quick")
    assert requests.running == ["long 1", "long 2"]
    async with asyncio.timeout(DEADLINE_S):
        while "quick" not in requests.running:
            await asyncio.sleep(0.005)
    # A turn that was passed on already is not passed on again when its request ends.
    await requests.end("long 1", "long 2", "quick")
    await requests.come("a", "b", "c")
    assert requests.running == ["a", "b"]


async def test_whether_the_hub_is_well_is_answered_at_once() -> None:
    requests = Requests(at_once=1)
    await requests.come("/p/a", "/p/b", "/healthz", "/hub/readyz", "/p/a/f/healthz", "/hub/hub/healthz")
    assert requests.running == ["/p/a", "/healthz", "/hub/readyz"]
