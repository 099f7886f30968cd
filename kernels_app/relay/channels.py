"""Raw kernel channels of one web process: from its mailbox to the clients, from the clients to the nodes.

A client has one number, the last message of the kernel it was given. Messages of the mailbox go straight to each
client that is up to date; one that takes them too slowly is left behind and later fetches what it missed from the
node, at its own pace. So nothing is kept here for a slow client but what its socket has not sent yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

import structlog

from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.bus.relay_envelopes import (
    Delivered,
    Fetch,
    Forgotten,
    Gone,
    Join,
    Joined,
    Leave,
    MailPart,
    Messages,
    RelayMail,
    Say,
    decode_relay_mail,
)
from kernels_app.bus.transport import Transport
from kernels_app.errors import Conflict, HubError, TooSlow
from kernels_app.relay.mailbox import WebMailbox, mailbox_of_this_loop
from kernels_app.relay.node_link import NodeLink

log = structlog.get_logger(__name__)

# Not sent yet by a client's socket: above the first it is left behind, below the second it fetches.
HIGH_BYTES = 4 * 1024 * 1024
LOW_BYTES = 512 * 1024
REPORT_S = 0.5
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

    def _end_if_done(self, client: ChannelClient) -> None:
        if self.gone_reason is not None and not client.is_behind:
            client.end(None)


class ChannelRelay:
    """The feeds of one event loop."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._mailbox: WebMailbox = mailbox_of_this_loop(transport)
        self._mailbox.on_relay_mail = self._take
        self._feeds: dict[KernelId, KernelFeed] = {}
        self._links: dict[tuple[NodeId, int], NodeLink] = {}
        self._reporter: asyncio.Task[None] | None = None
        self._fences: dict[NodeId, int] = {}  # the latest that was heard of
        self._tickets = 0
        self._outdated: set[NodeId] = set()  # somebody joined an earlier life of it since

    def join(self, *, kernel_id: KernelId, node_id: NodeId, fence: int, client: ChannelClient) -> KernelFeed:
        """The kernel's feed, with the client in it; does not wait for the kernel, nor for its node."""
        self._mailbox.start()
        link = self._link(node_id, fence)
        feed = self._feeds.get(kernel_id)
        if feed is not None and feed.link is not link:
            feed.take(Gone(kernel_id, "The kernel's node was started anew."))
            feed = None
        if fence < self._fences.get(node_id, 0):
            self._outdated.add(node_id)
        if feed is None:
            feed = self._feeds[kernel_id] = KernelFeed(kernel_id, link)
        replaced = feed.clients.get(client.key)
        if replaced is not None:
            client.reported_seq = replaced.final_seq(in_good_order=False)
            replaced.end(Conflict("This client connected again elsewhere."))
        feed.clients[client.key] = client
        link.add(self._joining(feed, client))
        if self._reporter is None or self._reporter.done():
            self._reporter = asyncio.create_task(self._report(), name="channel-relay")
        return feed

    def _joining(self, feed: KernelFeed, client: ChannelClient) -> Join:
        self._tickets += 1
        client.ticket = self._tickets
        return Join(feed.kernel_id, client.key, client.reported_seq, client.given_seq, client.ticket)

    def say_for(
        self, client_key: str, message: bytes, *, kernel_id: KernelId, node_id: NodeId, fence: int
    ) -> None:
        """A message of a client whose connection another process of the hub has."""
        self._mailbox.start()
        self._link(node_id, fence).add(Say(kernel_id, client_key, message))

    def leave(self, feed: KernelFeed, client: ChannelClient, *, in_good_order: bool) -> None:
        """Its connection has ended: as the client wanted it, or not."""
        if feed.clients.get(client.key) is not client:
            return  # it is back already, on another connection
        del feed.clients[client.key]
        feed.link.add(
            Leave(
                feed.kernel_id,
                client.key,
                client.final_seq(in_good_order=in_good_order),
                is_over=not client.may_return,
            )
        )
        if not feed.clients and self._feeds.get(feed.kernel_id) is feed:
            del self._feeds[feed.kernel_id]

    def feeds(self) -> list[KernelFeed]:
        return list(self._feeds.values())

    def _link(self, node_id: NodeId, fence: int) -> NodeLink:
        link = self._links.get((node_id, fence))
        if link is None:
            link = self._links[node_id, fence] = NodeLink(
                self.transport,
                self._mailbox.name,
                node_id,
                fence,
                listen=self._mailbox.listen,
                is_needed=self._is_needed((node_id, fence)),
            )
        return link

    def _is_needed(self, key: tuple[NodeId, int]) -> Callable[[], bool]:
        def is_needed() -> bool:
            return any((feed.link.node_id, feed.link.fence) == key for feed in self._feeds.values())

        return is_needed

    def _take(self, mail: RelayMail | MailPart | None, size_bytes: int) -> None:
        if mail is None:
            for known_link in self._links.values():
                known_link.repeat()
                self._join_again(known_link)
            return
        link = self._links.get((mail.node_id, mail.fence))
        if link is not None and not link.read(mail.number, size_bytes):
            log.info("kernel_channels_go_on", node_id=mail.node_id)
            self._join_again(link)
            # What this mail brings of kernels comes again; what it says of our commands holds.
            if isinstance(mail, RelayMail):
                link.hear(mail.heard, is_missing=mail.is_missing)
            return
        if isinstance(mail, MailPart):
            whole = None if link is None else link.joiner.add(mail.index, mail.piece, is_last=mail.is_last)
            if whole is None:
                return
            decoded = decode_relay_mail(whole)
            assert isinstance(decoded, RelayMail)
            mail = decoded
        if link is not None:
            link.hear(mail.heard, is_missing=mail.is_missing)
        self._see_fence(mail.node_id, mail.fence)
        for item in mail.items:
            if isinstance(item, Forgotten):
                if link is not None:
                    self._join_again(link)
                continue
            known = self._feeds.get(item.kernel_id)
            if known is not None and known.link is link:
                known.take(item)

    def _see_fence(self, node_id: NodeId, fence: int) -> None:
        """Kernels of earlier lives of the node are gone."""
        if fence > self._fences.get(node_id, 0) or node_id in self._outdated:
            self._fences[node_id] = fence
            self._outdated.discard(node_id)
            for feed in self.feeds():
                if feed.link.node_id == node_id and feed.link.fence < fence:
                    feed.take(Gone(feed.kernel_id, "The kernel's node was started anew."))

    def _join_again(self, link: NodeLink) -> None:
        """Mail was lost, or the node forgot this process: it is told who is here and how far they are."""
        link.begin_anew()
        for feed in self._feeds.values():
            if feed.link is not link:
                continue
            feed.live_seq = None
            for client in feed.clients.values():
                if client.seq is not None:
                    client.given_seq, client.seq = client.seq, None
                client.is_behind = client.is_fetching = False
                link.add(self._joining(feed, client))

    async def _report(self) -> None:
        """Tells the nodes what clients have, so that they need not keep it; and clients that they are too slow."""
        loop = asyncio.get_running_loop()
        while self._feeds:
            await asyncio.sleep(REPORT_S)
            for feed in self.feeds():
                for client in list(feed.clients.values()):
                    if not client.is_ended and client.is_too_slow(loop.time()):
                        log.warning("channels_client_too_slow", kernel_id=feed.kernel_id)
                        client.end(TooSlow())
                    seq = client.outlet.sent_seq()
                    if seq > client.reported_seq:
                        client.reported_seq = seq
                        feed.link.add(Delivered(feed.kernel_id, client.key, seq))


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, ChannelRelay] = WeakKeyDictionary()


def channel_relay_of_this_loop(transport: Transport) -> ChannelRelay:
    loop = asyncio.get_running_loop()
    relay = _of_loop.get(loop)
    if relay is None or relay.transport is not transport:
        relay = _of_loop[loop] = ChannelRelay(transport)
    return relay
