"""The mailbox of a web process: where nodes answer the questions of its sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
import uuid
from collections.abc import Callable
from weakref import WeakKeyDictionary

import msgspec
import structlog
from prometheus_client import Histogram

from kernels_app.bus.envelopes import AskKernel, KernelAnswer, decode_mail, encode
from kernels_app.bus.identifiers import (
    KernelId,
    Mailbox,
    NodeId,
    StreamId,
    command_stream,
    mailbox_stream,
    mailbox_topic,
)
from kernels_app.bus.relay_envelopes import MailPart, RelayMail, decode_relay_mail
from kernels_app.bus.transport import Publication, Transport, TransportError
from kernels_app.errors import NoKernelReply, TooMany, Unavailable

log = structlog.get_logger(__name__)

# Field: name of a mailbox; value: when its reader last said that it lives, milliseconds since 1970.
MAILBOXES_KEY = "hub:mailboxes"
SIGN_OF_LIFE_S = 60.0
MAX_QUESTIONS = 1_000  # under way in one process
TRIM_EVERY = 100
TRIM_BYTES = 4 * 1024 * 1024
# By the clocks of both hosts; one observation in so many batches of nodes.
OBSERVE_EVERY = 8
RELAY_SECONDS = Histogram(
    "hub_relay_seconds",
    "From a node casting a batch until this process reads it.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)


class WebMailbox:
    """One a web process and event loop; opened by the first question."""

    def __init__(self, transport: Transport) -> None:
        host = socket.gethostname()[:32]
        self.transport = transport
        self.name = Mailbox(f"web-{host}-{os.getpid()}-{secrets.token_hex(4)}")
        self._waiting: dict[str, asyncio.Future[KernelAnswer]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._mail_count = 0
        self._listening: asyncio.Task[None] | None = None
        # Called with the raw channels' mail and its size on the event loop, with None when some may have been lost;
        # must not block.
        self.on_relay_mail: Callable[[RelayMail | MailPart | None, int], None] | None = None

    def start(self) -> None:
        """Reads from now on."""
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())

    async def ask(
        self,
        *,
        node_id: str,
        fence: int,
        kernel_id: KernelId,
        message_type: str,
        content: bytes,
        timeout_s: float,
    ) -> KernelAnswer:
        """The kernel's reply to a request on its shell channel.

        Raises:
            NoKernelReply: none came in time (the kernel is busy, or gone).
            TooMany: too many questions wait already.
            Unavailable: the wire is down.
        """
        if len(self._waiting) >= MAX_QUESTIONS:
            raise TooMany
        self.start()
        request_id = uuid.uuid4().hex
        answer: asyncio.Future[KernelAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        command = AskKernel(
            fence=fence,
            kernel_id=kernel_id,
            request_id=request_id,
            reply_to=self.name,
            message_type=message_type,
            content=content,
        )
        try:
            async with asyncio.timeout(timeout_s):
                await self.transport.write(
                    [Publication(encode(command), log=command_stream(NodeId(node_id)))]
                )
                return await answer
        except TimeoutError:
            raise NoKernelReply from None
        except TransportError as error:
            raise Unavailable("The hub's message server does not answer. Try again in a moment.") from error
        finally:
            del self._waiting[request_id]

    async def listen(self) -> None:
        """Returns when mail of the raw channels is heard. Raises TransportError."""
        if self._listening is None or (self._listening.done() and self._listening.exception() is not None):
            self._listening = asyncio.create_task(self._subscribe())
        await asyncio.shield(self._listening)

    async def _subscribe(self) -> None:
        await self.transport.subscribe(mailbox_topic(self.name), self._hear)

    def _hear(self, payload: bytes | None) -> None:
        if self.on_relay_mail is None:
            return
        try:
            if payload is None:
                self.on_relay_mail(None, 0)
                return
            mail = decode_relay_mail(payload)
            self._mail_count += 1
            if isinstance(mail, RelayMail) and self._mail_count % OBSERVE_EVERY == 0:
                RELAY_SECONDS.observe(max(time.time() - mail.sent_at, 0))
            self.on_relay_mail(mail, len(payload))
        except msgspec.MsgspecError:
            log.warning("mail_unreadable", mailbox=self.name)
        except Exception:
            # A mistake of ours with one kernel must not leave the others unread.
            log.exception("relay_mail_failed", mailbox=self.name)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
            with contextlib.suppress(TransportError):
                await self.transport.delete_log(mailbox_stream(self.name))
                await self.transport.delete_field(MAILBOXES_KEY, self.name)

    async def _read(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show_life())
            count = size_bytes = 0
            async for entry in self.transport.follow_log(mailbox_stream(self.name), after=StreamId("0-0")):
                self._take(entry.payload)
                count += 1
                size_bytes += len(entry.payload)
                if count >= TRIM_EVERY or size_bytes > TRIM_BYTES:
                    count = size_bytes = 0
                    with contextlib.suppress(TransportError):
                        await self.transport.trim_log(mailbox_stream(self.name), up_to=entry.id)

    def _take(self, payload: bytes) -> None:
        try:
            mail = decode_mail(payload)
        except (msgspec.ValidationError, msgspec.DecodeError):
            log.warning("mail_unreadable", mailbox=self.name)
            return
        if isinstance(mail, KernelAnswer):
            answer = self._waiting.get(mail.request_id)
            if answer is not None and not answer.done():
                answer.set_result(mail)

    async def _show_life(self) -> None:
        while True:
            with contextlib.suppress(TransportError):
                now = str(time.time_ns() // 1_000_000).encode()
                await self.transport.put_field(MAILBOXES_KEY, self.name, now)
            await asyncio.sleep(SIGN_OF_LIFE_S)


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, WebMailbox] = WeakKeyDictionary()


def mailbox_of_this_loop(transport: Transport) -> WebMailbox:
    loop = asyncio.get_running_loop()
    mailbox = _of_loop.get(loop)
    if mailbox is None or mailbox.transport is not transport:
        mailbox = _of_loop[loop] = WebMailbox(transport)
    return mailbox
