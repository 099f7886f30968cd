"""Watches the open sockets of one web process: how many a person has, and whether each may still be open.

Whatever changes someone's access leaves an `AccessChange` row in the same transaction. The watch looks for new rows
every `POLL_S` while any socket is open, and at once when a hint comes on the channel layer. So a lost hint, a change
made by another process or in the admin panel, and a token that merely expires all close a socket within 5 s.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import structlog
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zasper_hub.accounts.errors import TooMany
from zasper_hub.accounts.selectors.access_changes import HINT_GROUP, AccessChanges, NewChanges

if TYPE_CHECKING:
    from zasper_hub.accounts.authentication import Caller

log = structlog.get_logger(__name__)

POLL_S = 2.0  # leaves 3 of the promised 5 s for the checks themselves
RECHECK_ALL_S = 300.0  # ends what leaves no row: a sign-in that ran out
HINT_RETRY_S = 5.0
RECHECKS_AT_ONCE = 8
# A change this much older than an admission was committed before it, whatever the clocks of the processes say.
SETTLED_AFTER = timedelta(seconds=10)


class WatchedSocket(Protocol):
    caller: Caller
    admitted_at: datetime  # before its admission was looked up

    async def recheck(self) -> None: ...


class SocketWatch:
    """The open sockets of one event loop."""

    def __init__(self) -> None:
        self._sockets: set[WatchedSocket] = set()
        # Entered since the last look: a change may lie between their admission and their entry.
        self._fresh: set[WatchedSocket] = set()
        self._owed: set[WatchedSocket] = set()  # whose check failed for another reason: tried again
        self._counts: Counter[int] = Counter()
        self._hinted = asyncio.Event()
        self.is_listening = asyncio.Event()  # hints reach this process
        self._task: asyncio.Task[None] | None = None

    def enter(self, socket: WatchedSocket) -> None:
        """Counts and watches a socket.

        Raises:
            TooMany: the person has `HUB_MAX_SOCKETS` open in this process already.
        """
        user_id = socket.caller.user.pk
        if self._counts[user_id] >= settings.HUB_MAX_SOCKETS:
            raise TooMany("You have too many pages of the hub open. Close some and try again.")
        self._counts[user_id] += 1
        self._sockets.add(socket)
        self._fresh.add(socket)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="socket-watch")

    def leave(self, socket: WatchedSocket) -> None:
        if socket not in self._sockets:
            return
        self._sockets.discard(socket)
        self._fresh.discard(socket)
        self._owed.discard(socket)
        user_id = socket.caller.user.pk
        self._counts[user_id] -= 1
        if self._counts[user_id] <= 0:
            del self._counts[user_id]
        if not self._sockets and self._task is not None:
            self._task.cancel()
            self._task = None

    def open_count(self, user_id: int | None = None) -> int:
        """Sockets open now: a person's, or all."""
        return len(self._sockets) if user_id is None else self._counts[user_id]

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen_for_hints())
            tasks.create_task(self._poll())

    async def _poll(self) -> None:
        changes = AccessChanges()
        checked_all_at = time.monotonic()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hinted.wait(), POLL_S)
            self._hinted.clear()
            fresh, self._fresh = self._fresh, set()
            try:
                changed = await database_sync_to_async(changes.read)()
            except DatabaseError as error:
                log.warning("access_changes_unreadable", error=type(error).__name__)
                self._fresh |= fresh & self._sockets
                continue
            now = timezone.now()
            checks_all = time.monotonic() - checked_all_at > RECHECK_ALL_S
            if checks_all:
                checked_all_at = time.monotonic()
            owed, self._owed = self._owed, set()
            concerned = [
                socket
                for socket in self._sockets
                if checks_all
                or socket in owed
                or (
                    may_have_missed(socket, changed)
                    if socket in fresh
                    else not changed.new.isdisjoint(socket.caller.user_ids)
                )
                or _is_expired(socket.caller, now)
            ]
            await self._recheck(concerned)

    async def _recheck(self, sockets: list[WatchedSocket]) -> None:
        slots = asyncio.Semaphore(RECHECKS_AT_ONCE)

        async def recheck_one(socket: WatchedSocket) -> None:
            async with slots:
                try:
                    await socket.recheck()
                except Exception:
                    log.exception("socket_recheck_failed", user_id=socket.caller.user.pk)
                    if socket in self._sockets:
                        self._owed.add(socket)

        async with asyncio.TaskGroup() as tasks:
            for socket in sockets:
                tasks.create_task(recheck_one(socket))

    async def _listen_for_hints(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        while True:
            try:
                # Not with a prefix of its own: the layer of a process waits for one prefix at a time, so that the
                # consumers' messages would not come while nothing is said here.
                channel_name = await layer.new_channel()
                await layer.group_add(HINT_GROUP, channel_name)
                self.is_listening.set()
                try:
                    while True:
                        await layer.receive(channel_name)
                        self._hinted.set()
                finally:
                    self.is_listening.clear()
                    async with asyncio.timeout(1):
                        await layer.group_discard(HINT_GROUP, channel_name)
            except Exception as error:
                log.warning("access_hints_unavailable", error=type(error).__name__)
                await asyncio.sleep(HINT_RETRY_S)


def may_have_missed(socket: WatchedSocket, changed: NewChanges) -> bool:
    """Whether a change of its person's access may have been committed after its admission was looked up."""
    changed_at = [changed.recent[user_id] for user_id in socket.caller.user_ids if user_id in changed.recent]
    return bool(changed_at) and max(changed_at) > socket.admitted_at - SETTLED_AFTER


def sockets_by_kind() -> tuple[int, Counter[str]]:
    """How many people have a socket open in this process, and how many sockets there are of each consumer.

    May be called from any thread.
    """
    watches = list(_WATCHES.values())
    kinds = Counter(type(socket).__name__ for watch in watches for socket in list(watch._sockets))
    return len({user_id for watch in watches for user_id in list(watch._counts)}), kinds


class OpenSockets(Collector):
    """The WebSockets of this process, and the people behind them, for Prometheus."""

    def collect(self) -> Iterator[Metric]:
        people_count, kinds = sockets_by_kind()
        yield GaugeMetricFamily(
            "hub_people_online", "People with a socket open in this process.", people_count
        )
        sockets = GaugeMetricFamily("hub_sockets", "Open WebSockets of this process.", labels=["kind"])
        for kind, count in sorted(kinds.items()):
            sockets.add_metric([kind], count)
        yield sockets


def _is_expired(caller: Caller, now: datetime) -> bool:
    return caller.expires_at is not None and caller.expires_at <= now


_WATCHES: WeakKeyDictionary[asyncio.AbstractEventLoop, SocketWatch] = WeakKeyDictionary()


def watch_of_this_loop() -> SocketWatch:
    """The one watch of the running event loop."""
    loop = asyncio.get_running_loop()
    watch = _WATCHES.get(loop)
    if watch is None:
        watch = _WATCHES[loop] = SocketWatch()
    return watch
