"""The clients of one kernel in one web process.

A client has one number, the last message of the kernel it was given. Messages of the mailbox go straight to each
client that is up to date; one that takes them too slowly is left behind and later fetches what it missed from the
node, at its own pace. So nothing is kept here for a slow client but what its socket has not sent yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.relay_envelopes import Fetch, Gone, Joined, Messages, Say
from kernels_app.errors import HubError
from kernels_app.relay.node_link import NodeLink

# Not sent yet by a client's socket: above the first it is left behind, below the second it fetches.
HIGH_BYTES = 4 * 1024 * 1024
LOW_BYTES = 512 * 1024
# A client that is behind and has taken nothing for so long is told, and comes back for the rest when it can.
SLOW_S = 20.0


class ChannelOutlet(Protocol):
    """A client's connection, as the relay uses it. Nothing here waits."""

    def put(self, messages: Sequence[tuple[int, bytes]]) -> None:
        """`(seq, message)` pairs to send, in order."""
        ...

    def waiting_bytes(self) -> int:
        """What was put and is not sent yet."""
        ...

    def sent_seq(self) -> int:
        """Everything up to it has reached the client, as far as can be told; -1: nothing yet."""
        ...

    def final_seq(self, *, in_good_order: bool) -> int:
        """The same, now that the connection has ended: as its client wanted it, or not."""
        ...

    def lose(self, count: int) -> None:
        """So many messages can never be had again: the client is told."""
        ...

    def end(self, error: HubError | None) -> None:
        """The connection ends after what was put: in good order (the kernel is gone), or with an error."""
        ...


class ChannelClient:
    """One client of one kernel. `seq`: given everything up to it; None until the node knows the client."""

    def __init__(self, key: str, outlet: ChannelOutlet, *, may_return: bool) -> None:
        self.key = key
        self.outlet = outlet
        self.may_return = may_return
        self.seq: int | None = None
        self.ticket = 0  # of its last joining
        self.given_seq = -1  # the same, when the node was asked again
        self.is_behind = False
        self.is_fetching = False
        self.reported_seq = -1
        self.is_ended = False
        self._taken = (0, -1)
        self._taken_s = 0.0

    def is_too_slow(self, now_s: float) -> bool:
        """Whether it has taken nothing of what waits for it for too long. Asked regularly."""
        taken = (self.outlet.waiting_bytes(), self.outlet.sent_seq())
        if not self.is_behind or taken[0] < LOW_BYTES or taken != self._taken:
            self._taken, self._taken_s = taken, now_s
            return False
        return now_s - self._taken_s > SLOW_S

    def end(self, error: HubError | None) -> None:
        self.is_ended = True
        self.outlet.end(error)

    def final_seq(self, *, in_good_order: bool) -> int:
        return max(self.outlet.final_seq(in_good_order=in_good_order), self.reported_seq)


class KernelFeed:
    """The clients of one kernel in this process. `live_seq`: the mailbox brought everything up to it."""

    def __init__(self, kernel_id: KernelId, link: NodeLink) -> None:
        self.kernel_id = kernel_id
        self.link = link
        self.clients: dict[str, ChannelClient] = {}
        self.live_seq: int | None = None
        self.gone_reason: str | None = None

    def say(self, client: ChannelClient, message: bytes) -> None:
        self.link.add(Say(self.kernel_id, client.key, message))

    def drained(self, client: ChannelClient) -> None:
        """The client's socket has sent most of what it had."""
        if not client.is_behind or client.is_fetching or client.is_ended or client.seq is None:
            return
        if client.outlet.waiting_bytes() < LOW_BYTES:
            client.is_fetching = True
            self.link.add(Fetch(self.kernel_id, client.key, client.seq))

    def take(self, item: Joined | Messages | Gone) -> None:
        """Something for this kernel's clients came from its node."""
        if isinstance(item, Messages):
            if item.client:
                self._take_fetched(item)
            else:
                self._take_live(item)
        elif isinstance(item, Joined):
            self._take_joined(item)
        else:
            self.gone_reason = item.reason
            for client in list(self.clients.values()):
                self._end_if_done(client)

    def _take_joined(self, item: Joined) -> None:
        if self.live_seq is None:
            self.live_seq = item.live_seq
        client = self.clients.get(item.client)
        if client is None or client.seq is not None or client.ticket != item.ticket:
            return
        client.seq = item.seq
        if client.given_seq < 0:
            client.reported_seq = item.seq  # what its connections before this one left it with
        if item.lost_count:
            client.outlet.lose(item.lost_count)
        if client.seq < self.live_seq:
            client.is_behind = True
            self.drained(client)

    def _take_live(self, item: Messages) -> None:
        if self.live_seq is not None and item.last_seq <= self.live_seq:
            return  # written twice
        pairs: list[tuple[int, bytes]] | None = None
        for client in list(self.clients.values()):
            if client.seq is None or client.is_behind:
                continue
            if client.seq < item.after_seq:
                client.is_behind = True  # something in between was lost on the way
                self.drained(client)
                continue
            if client.seq == item.after_seq and not any(item.clients):
                pairs = pairs or list(zip(item.seqs, item.messages, strict=True))
                client.outlet.put(pairs)
            else:
                self._put(client, item)
            client.seq = max(client.seq, item.last_seq)
            if client.outlet.waiting_bytes() > HIGH_BYTES:
                client.is_behind = True
        self.live_seq = item.last_seq

    def _take_fetched(self, item: Messages) -> None:
        client = self.clients.get(item.client)
        if client is None or client.seq is None or not client.is_fetching or item.after_seq > client.seq:
            return
        client.is_fetching = False
        if item.lost_count:
            client.outlet.lose(item.lost_count)
        self._put(client, item)
        client.seq = max(client.seq, item.last_seq)
        if self.live_seq is None or client.seq >= self.live_seq:
            client.is_behind = False
            if client.outlet.waiting_bytes() > HIGH_BYTES:
                client.is_behind = True
            self._end_if_done(client)
        else:
            self.drained(client)

    def _put(self, client: ChannelClient, item: Messages) -> None:
        seq, key = client.seq or 0, client.key
        client.outlet.put(
            [
                (number, message)
                for number, target, message in zip(item.seqs, item.clients, item.messages, strict=True)
                if number > seq and (not target or target == key)
            ]
        )

    def lose(self, reason: str) -> None:
        """Its node is gone: what clients do not have yet, they will not get."""
        self.gone_reason = reason
        for client in list(self.clients.values()):
            client.end(None)

    def _end_if_done(self, client: ChannelClient) -> None:
        if self.gone_reason is not None and not client.is_behind:
            client.end(None)
