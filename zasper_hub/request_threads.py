"""Threads for the synchronous part of requests, kept from one request to the next.

Django runs a request's views and queries on a thread of its own, made for it and ended, by another one, after it. That
costs two new threads a request, and on a machine whose processors compute for kernels a new thread waits tenths of a
second for its first turn, where one that slept gets it at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

# Asleep at most: more requests than these at the same time get threads that end with them.
KEPT_THREADS = 8

P = ParamSpec("P")
T = TypeVar("T")
Application = Callable[[Any, Any, Any], Awaitable[None]]


class RequestThreads:
    """An ASGI application that lends each request of `application` a thread, the one used last first."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self._free: list[_Thread] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with self._lent() as thread:
            async with _LentThread(thread):
                await self.application(scope, receive, send)

    @contextlib.contextmanager
    def _lent(self) -> Iterator[_Thread]:
        thread = self._free.pop() if self._free else _Thread()
        try:
            yield thread
        finally:
            # A request that was given up may have left work behind that still runs.
            if thread.is_idle and len(self._free) < KEPT_THREADS:
                self._free.append(thread)
            else:
                thread.shutdown(wait=False)


class _Thread(ThreadPoolExecutor):
    """One thread, which starts with the first work it gets."""

    _latest: Future[Any] | None = None

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="request")

    @property
    def is_idle(self) -> bool:
        return self._latest is None or self._latest.done()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        self._latest = future
        return future


class _LentThread(ThreadSensitiveContext):
    """As its base, with a thread that somebody else ends. Tasks that outlive the request get one of their own, as
    they do with the base."""

    def __init__(self, thread: Executor) -> None:
        super().__init__()
        self._thread = thread

    async def __aenter__(self) -> ThreadSensitiveContext:
        await super().__aenter__()  # type: ignore[no-untyped-call]  # asgiref leaves it so
        if self.token:
            SyncToAsync.context_to_thread_executor[self] = self._thread
        return self

    async def __aexit__(self, *reason: Any) -> None:
        if self.token:
            SyncToAsync.context_to_thread_executor.pop(self, None)
        await super().__aexit__(*reason)  # type: ignore[no-untyped-call]
