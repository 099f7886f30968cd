"""Requests use the threads of requests before them, never two the same one at a time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async

from zasper_hub.request_threads import KEPT_THREADS, Application, RequestThreads

DEADLINE_S = 20


def application_of(work: Any) -> Application:
    """One whose requests do `work` on their thread."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async with ThreadSensitiveContext():  # as Django's handler does
            await sync_to_async(work)()

    return RequestThreads(application)


async def request_of(application: Application) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await application({"type": "http"}, None, None)


async def test_requests_after_each_other_use_one_thread() -> None:
    threads: list[int] = []
    application = application_of(lambda: threads.append(threading.get_ident()))

    for _ in range(5):
        await request_of(application)

    assert len(threads) == 5
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


async def test_requests_at_the_same_time_have_threads_of_their_own_and_few_stay() -> None:
    count = KEPT_THREADS + 4
    meeting = threading.Barrier(count)
    threads: set[threading.Thread] = set()

    def meet() -> None:
        threads.add(threading.current_thread())
        meeting.wait(DEADLINE_S)

    application = application_of(meet)
    await asyncio.gather(*(request_of(application) for _ in range(count)))

    async with asyncio.timeout(DEADLINE_S):
        while sum(thread.is_alive() for thread in threads) > KEPT_THREADS:
            await asyncio.sleep(0.01)
    assert len(threads) == count
    assert sum(thread.is_alive() for thread in threads) == KEPT_THREADS


async def test_a_request_does_not_wait_for_work_that_an_earlier_one_gave_up() -> None:
    begun, goes_on = threading.Event(), threading.Event()
    threads: list[int] = []

    def work() -> None:
        threads.append(threading.get_ident())
        if len(threads) == 1:
            begun.set()
            goes_on.wait(DEADLINE_S)

    application = application_of(work)
    given_up = asyncio.create_task(request_of(application))
    try:
        assert await asyncio.to_thread(begun.wait, DEADLINE_S)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)

        await request_of(application)
        assert not goes_on.is_set()
    finally:
        goes_on.set()
    assert len(set(threads)) == 2


async def test_a_task_that_outlives_its_request_does_not_use_its_thread() -> None:
    tasks: list[asyncio.Task[int]] = []
    threads: list[int] = []
    is_over = asyncio.Event()

    async def later() -> int:
        await is_over.wait()
        return await sync_to_async(threading.get_ident)()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.create_task(later()))
        threads.append(await sync_to_async(threading.get_ident)())

    await request_of(RequestThreads(application))
    is_over.set()

    async with asyncio.timeout(DEADLINE_S):
        assert await tasks[0] not in threads
