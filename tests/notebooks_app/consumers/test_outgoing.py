"""What a person's sockets may leave unread, together."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from notebooks_app.consumers import outgoing
from notebooks_app.consumers.outgoing import ECHO_EVERY_BYTES, Outgoing
from zasper_hub.accounts.errors import TooSlow

FRAME = bytes(ECHO_EVERY_BYTES)


async def never(frame: bytes) -> None:
    """A client that reads nothing."""
    await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MAX_UNREAD_BYTES_OF_PERSON", 4 * len(FRAME))
    outgoing._unread_of_person.clear()


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_many_sockets_of_one_person_hold_no_more_than_a_few() -> None:
    mine = [Outgoing(never, person=1) for _ in range(5)]
    tasks = [asyncio.create_task(each.run()) for each in mine]
    theirs = Outgoing(never, person=2)
    for each in mine[:4]:
        each.put(FRAME)
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    # One too many: that socket ends, the others and other people's do not.
    tasks[4].cancel()
    last = Outgoing(never, person=1)
    last.put(FRAME)
    with pytest.raises(TooSlow):
        await last.run()
    theirs.put(FRAME)
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks[:4])
    # What is read, or ends, makes room.
    mine[0].echoed(1)
    await ended(tasks[1])
    for _ in range(2):
        mine[2].put(FRAME)
    await asyncio.sleep(0)
    assert not tasks[2].done()
    for task in tasks:
        await ended(task)
    assert set(outgoing._unread_of_person) == {2}
