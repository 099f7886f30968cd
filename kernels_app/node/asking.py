"""Questions to a kernel that are no runs (completion, inspection …): each waits for the run before it to end."""

from __future__ import annotations

import asyncio
import secrets

import msgspec

from kernels_app.bus.envelopes import AskKernel, KernelAnswer
from kernels_app.node.outbox import Outbox
from kernels_app.node.zeromq.channel_base import Sender
from kernels_app.node.zeromq.frames import KernelMessage

# A question waits for the run before it to end, at most this long.
ASK_TIMEOUT_S = 10.0
MAX_ASKS = 64
ASKABLE = frozenset(
    {"complete_request", "inspect_request", "is_complete_request", "kernel_info_request",
     "history_request", "comm_info_request"}
)  # fmt: skip


class _Ask(msgspec.Struct, frozen=True):
    command: AskKernel
    msg_type: str
    timer: asyncio.TimerHandle


class Asks:
    """Each question is answered once: by the kernel, or with the reason why not."""

    def __init__(self, *, outbox: Outbox, send: Sender) -> None:
        self._outbox = outbox
        self._send = send
        self._waiting: list[_Ask] = []
        self._sent: dict[str, _Ask] = {}

    def add(self, command: AskKernel) -> bool:
        """False when it was refused; else it waits for `send_waiting`."""
        msg_type = command.message_type
        if not msg_type.endswith("_request"):
            msg_type += "_request"
        if msg_type not in ASKABLE:
            self._answer(command, error="This cannot be asked of a kernel.")
            return False
        if len(self._waiting) + len(self._sent) >= MAX_ASKS:
            self._answer(command, error="The kernel has too many questions waiting.")
            return False
        loop = asyncio.get_running_loop()
        timer = loop.call_later(ASK_TIMEOUT_S, self._give_up, command.request_id)
        self._waiting.append(_Ask(command, msg_type, timer))
        return True

    def send_waiting(self) -> None:
        asks, self._waiting = self._waiting, []
        for ask in asks:
            msg_id = secrets.token_hex(16)
            self._sent[msg_id] = ask
            self._send("shell", ask.msg_type, ask.command.content, msg_id=msg_id)

    def on_reply(self, message: KernelMessage) -> None:
        """A message on the shell channel that answers one of these, or not."""
        if (ask := self._sent.pop(message.parent_id, None)) is not None:
            ask.timer.cancel()
            self._answer(ask.command, content=message.content_frame)

    def end_all(self, reason: str) -> None:
        """None of them will be answered any more."""
        for ask in [*self._waiting, *self._sent.values()]:
            ask.timer.cancel()
            self._answer(ask.command, error=reason)
        self._waiting.clear()
        self._sent.clear()

    def _give_up(self, request_id: str) -> None:
        for ask in [*self._waiting, *self._sent.values()]:
            if ask.command.request_id == request_id:
                self._answer(ask.command, error="The kernel is busy.")
        self._waiting = [ask for ask in self._waiting if ask.command.request_id != request_id]
        self._sent = {
            msg_id: ask for msg_id, ask in self._sent.items() if ask.command.request_id != request_id
        }

    def _answer(self, command: AskKernel, *, content: bytes = b"", error: str = "") -> None:
        self._outbox.mail(
            command.reply_to, KernelAnswer(request_id=command.request_id, content=content, error=error)
        )
