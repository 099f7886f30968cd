"""Questions to a kernel, without a kernel: each is answered once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kernels_app.bus.envelopes import AskKernel, KernelAnswer, decode_mail
from kernels_app.bus.identifiers import KernelId, Mailbox, mailbox_stream
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.node import asking
from kernels_app.node.asking import MAX_ASKS, Asks
from kernels_app.node.outbox import Outbox
from kernels_app.node.zeromq.frames import KernelMessage

MAILBOX = Mailbox("web-1")
DEADLINE_S = 20


class Scene:
    """Asks whose messages to the kernel, and whose answers to the hub, are kept."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self._wire = MemoryTransport(MemoryStore())
        self._outbox = Outbox(self._wire, lambda: 1000)
        self.asks = Asks(outbox=self._outbox, send=self._send)

    def _send(self, channel: str, msg_type: str, content: bytes, *, msg_id: str, **_: Any) -> None:
        assert channel == "shell"
        self.sent.append((msg_type, msg_id))

    def ask(self, request_id: str, message_type: str = "complete") -> bool:
        return self.asks.add(
            AskKernel(
                fence=1,
                kernel_id=KernelId("k1"),
                request_id=request_id,
                message_type=message_type,
                content=b"{}",
                reply_to=MAILBOX,
            )
        )

    def reply(self, msg_id: str) -> None:
        self.asks.on_reply(KernelMessage("complete_reply", "r", msg_id, b"{}", b"{}", b'{"matches":[]}'))

    async def answers(self, count: int) -> list[tuple[str, bytes, str]]:
        """As soon as there are so many."""
        flushing = asyncio.create_task(self._outbox.run())
        try:
            async with asyncio.timeout(DEADLINE_S):
                while len(entries := await self._wire.read_log(mailbox_stream(MAILBOX))) < count:
                    await asyncio.sleep(0.005)
        finally:
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)
        mails = [decode_mail(entry.payload) for entry in entries]
        return [
            (mail.request_id, mail.content, mail.error) for mail in mails if isinstance(mail, KernelAnswer)
        ]


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("message_type", ["shutdown_request", "execute_request", "", "input"])
async def test_what_is_no_question_is_refused_and_not_sent(scene: Scene, message_type: str) -> None:
    assert not scene.ask("q", message_type)
    scene.asks.send_waiting()
    assert scene.sent == []
    assert await scene.answers(1) == [("q", b"", "This cannot be asked of a kernel.")]


async def test_more_questions_than_may_wait_are_refused(scene: Scene) -> None:
    assert all(scene.ask(f"q{number}") for number in range(MAX_ASKS))
    scene.asks.send_waiting()  # those that were sent count too
    assert not scene.ask("one too many")
    assert [answer[0] for answer in await scene.answers(1)] == ["one too many"]
    scene.asks.end_all("The kernel ended.")
    answers = await scene.answers(MAX_ASKS + 1)
    assert {answer[2] for answer in answers[1:]} == {"The kernel ended."}
    assert len(answers) == MAX_ASKS + 1


async def test_a_question_is_sent_once_and_its_answer_goes_to_who_asked(scene: Scene) -> None:
    assert scene.ask("q1", "inspect_request")
    assert scene.ask("q2", "complete")
    assert scene.sent == []
    scene.asks.send_waiting()
    scene.asks.send_waiting()
    assert [msg_type for msg_type, _ in scene.sent] == ["inspect_request", "complete_request"]
    msg_id = scene.sent[1][1]
    for parent_id in ("nobody's", msg_id, msg_id):
        scene.reply(parent_id)
    scene.asks.end_all("The kernel ended.")
    assert await scene.answers(2) == [("q2", b'{"matches":[]}', ""), ("q1", b"", "The kernel ended.")]


async def test_a_question_that_waits_too_long_is_given_up_and_never_answered_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASK_TIMEOUT_S", 0.0)
    assert scene.ask("sent")
    scene.asks.send_waiting()
    assert scene.ask("waits")
    busy = "The kernel is busy."
    assert await scene.answers(2) == [("sent", b"", busy), ("waits", b"", busy)]
    scene.reply(scene.sent[0][1])
    scene.asks.send_waiting()
    scene.asks.end_all("The kernel ended.")
    assert len(scene.sent) == 1
    monkeypatch.undo()
    assert scene.ask("next", "shutdown") is False
    assert [answer[0] for answer in await scene.answers(3)] == ["sent", "waits", "next"]
