"""What a kernel sent lately, and how far its clients are in it. Pure.

Nothing is kept while no client is known. What is kept is bounded in bytes: past that, the clients furthest behind lose
their oldest messages and are told how many.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import msgspec

# For clients that are behind or away: 50,000 short lines of output are about 30 MB.
MAX_KEPT_BYTES = 128 * 1024 * 1024
# A client that went away without saying that it is over is expected back for this long.
AWAY_S = 600.0
MAX_CLIENTS = 500
# Forgetting moves the whole list: not for each message.
FORGET_COUNT = 512


class LogEntry(NamedTuple):
    """`client` is whom it is for, "" for all. `end_bytes` counts all bytes up to and with this one."""

    client: str
    message: bytes
    end_bytes: int


class LogClient(msgspec.Struct):
    """`seq`: has everything up to it. `mailbox`: where it is now, None while it is away (since `away_since_s`)."""

    seq: int
    mailbox: str | None = None
    away_since_s: float = 0.0


class Piece(NamedTuple):
    """What was read: everything for its reader up to `last_seq`."""

    last_seq: int
    seqs: list[int]
    clients: list[str]
    messages: list[bytes]


class RelayLog:
    """Numbers a kernel's messages from 1 and keeps those that some client does not have yet."""

    def __init__(self, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self.head = 0
        self.clients: dict[str, LogClient] = {}
        self._max_kept_bytes = max_kept_bytes
        self._entries: list[LogEntry] = []
        self._forgotten = 0  # entries at the start of the list that nobody needs
        self._total_bytes = 0
        self._floor_bytes = 0  # end_bytes of the last one forgotten

    @property
    def first(self) -> int:
        """Number of the oldest message that is kept."""
        return self.head - len(self._entries) + self._forgotten + 1

    @property
    def kept_bytes(self) -> int:
        return self._total_bytes - self._floor_bytes

    def append(self, client: str, message: bytes) -> None:
        self.head += 1
        if self.clients:
            self._total_bytes += len(message)
            self._entries.append(LogEntry(client, message, self._total_bytes))
            if self.kept_bytes > self._max_kept_bytes:
                self._evict(self._max_kept_bytes * 9 // 10)

    def bytes_after(self, seq: int) -> int:
        """Of the kept messages after `seq`."""
        index = seq - self.head - 1 + len(self._entries)
        if index < self._forgotten:
            return self.kept_bytes
        if index >= len(self._entries):
            return 0
        return self._total_bytes - self._entries[index].end_bytes

    def read(self, after_seq: int, clients: Collection[str], max_bytes: int) -> Piece:
        """Messages after `after_seq` for all and for these clients: at least one, at most about `max_bytes`."""
        seq = max(after_seq, self.first - 1)
        seqs: list[int] = []
        targets: list[str] = []
        messages: list[bytes] = []
        size = 0
        for client, message, _ in self._after(seq):
            wanted = not client or client in clients
            if wanted and size and size + len(message) > max_bytes:
                break
            seq += 1
            if wanted:
                seqs.append(seq)
                targets.append(client)
                messages.append(message)
                size += len(message)
        return Piece(seq, seqs, targets, messages)

    def join(self, client: str, mailbox: str, seq: int = -1, given: int = -1) -> tuple[int, int]:
        """`(seq, lost_count)`: from where the client goes on, and how many messages before that are gone.

        It has everything up to `seq`; a connection of it that lasts was given everything up to `given`.
        """
        known = self.clients.get(client)
        if known is None:
            is_behind = 0 <= max(seq, given) < self.head
            known = self.clients[client] = LogClient(seq if is_behind else self.head)
        known.mailbox = mailbox
        known.seq = min(max(known.seq, seq), self.head)
        goes_on = min(max(known.seq, given), self.head)
        lost_count = max(0, self.first - 1 - goes_on)
        if lost_count:
            goes_on = known.seq = self.first - 1
        return goes_on, lost_count

    def leave(self, client: str, mailbox: str, seq: int, *, is_over: bool, now_s: float) -> None:
        """Nothing when it is at another mailbox by now."""
        known = self.clients.get(client)
        if known is None or known.mailbox != mailbox:
            return
        self.confirm(client, seq)
        known.mailbox = None
        known.away_since_s = now_s
        if is_over:
            del self.clients[client]
        self.forget()

    def confirm(self, client: str, seq: int) -> None:
        known = self.clients.get(client)
        if known is not None and known.seq < seq <= self.head:
            known.seq = seq

    def drop_away(self, now_s: float) -> None:
        """Forgets clients that have been away for too long, and the oldest of too many."""
        away = sorted(
            (known.away_since_s, name) for name, known in self.clients.items() if known.mailbox is None
        )
        surplus = len(self.clients) - MAX_CLIENTS
        for index, (since_s, name) in enumerate(away):
            if now_s - since_s > AWAY_S or index < surplus:
                del self.clients[name]
        self.forget()

    def clients_at(self, mailbox: str) -> list[str]:
        return [name for name, known in self.clients.items() if known.mailbox == mailbox]

    def forget(self, needed_after: int | None = None) -> None:
        """Lets go of what all clients have; messages after `needed_after` stay."""
        lowest = self.head if needed_after is None else min(self.head, needed_after)
        for known in self.clients.values():
            lowest = min(lowest, known.seq)
        self._forget_up_to(lowest)

    def shrink(self, max_kept_bytes: int) -> None:
        """Lets go of the oldest until about so much is kept. Whoever lacks them is told how many."""
        if self.kept_bytes > max_kept_bytes:
            self._evict(max_kept_bytes)

    def _evict(self, max_kept_bytes: int) -> None:
        """The oldest go, whoever lacks them; never the newest."""
        index = self._forgotten
        goal = self._total_bytes - max_kept_bytes
        while index < len(self._entries) - 1 and self._entries[index].end_bytes < goal:
            index += 1
        self._forget_up_to(self.head - len(self._entries) + index)

    def _forget_up_to(self, seq: int) -> None:
        count = seq - (self.head - len(self._entries))
        if count <= self._forgotten:
            return
        self._floor_bytes = self._entries[count - 1].end_bytes
        if count >= FORGET_COUNT or count == len(self._entries):
            del self._entries[:count]
            self._forgotten = 0
        else:
            for index in range(self._forgotten, count):
                self._entries[index] = LogEntry("", b"", self._floor_bytes)
            self._forgotten = count

    def _after(self, seq: int) -> Iterator[LogEntry]:
        start = seq - self.head + len(self._entries)
        for index in range(start, len(self._entries)):
            yield self._entries[index]
