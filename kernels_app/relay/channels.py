"""Raw kernel channels of one web process: from its mailbox to the clients, from the clients to the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from weakref import WeakKeyDictionary

import structlog
from channels.db import database_sync_to_async
from django.db import Error as DatabaseError

from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.bus.relay_envelopes import (
    Delivered,
    Forgotten,
    Gone,
    Join,
    Leave,
    MailPart,
    RelayMail,
    Say,
    decode_relay_mail,
)
from kernels_app.bus.transport import Transport
from kernels_app.errors import Conflict, TooSlow
from kernels_app.relay.kernel_feed import ChannelClient, KernelFeed
from kernels_app.relay.mailbox import WebMailbox, mailbox_of_this_loop
from kernels_app.relay.node_link import NodeLink
from kernels_app.selectors.kernels import lost_among

log = structlog.get_logger(__name__)

REPORT_S = 0.5
# A node that is gone for good tells nobody what became of its kernels: their rows do, looked at this often.
LOOK_S = 10.0

# Of these kernels, those that ended without their node, with the reason.
FindLost = Callable[[Collection[str]], Awaitable[dict[str, str]]]

_find_lost: FindLost = database_sync_to_async(lost_among)


class ChannelRelay:
    """The feeds of one event loop."""

    def __init__(self, transport: Transport, find_lost: FindLost = _find_lost) -> None:
        self.transport = transport
        self._find_lost = find_lost
        self._looked_s = 0.0
        self._look: asyncio.Task[None] | None = None
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
            # By itself: a database that does not answer holds no report up.
            if loop.time() - self._looked_s >= LOOK_S and (self._look is None or self._look.done()):
                self._looked_s = loop.time()
                self._look = asyncio.create_task(self._end_lost(), name="lost-kernels")

    async def _end_lost(self) -> None:
        try:
            lost = await self._find_lost(list(self._feeds))
        except DatabaseError:
            return  # next time
        for feed in self.feeds():
            if feed.kernel_id in lost:
                feed.lose(lost[feed.kernel_id])


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, ChannelRelay] = WeakKeyDictionary()


def channel_relay_of_this_loop(transport: Transport) -> ChannelRelay:
    loop = asyncio.get_running_loop()
    relay = _of_loop.get(loop)
    if relay is None or relay.transport is not transport:
        relay = _of_loop[loop] = ChannelRelay(transport)
    return relay
