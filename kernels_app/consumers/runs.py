"""The runs socket `/ws/runs/<document id>`: what a document's cells do, live, and what people ask of its kernel."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import structlog
from channels.db import database_sync_to_async
from django.db import Error as DatabaseError

from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.transport import TransportError
from kernels_app.consumers.actions import carry_out, kernel_to_ask
from kernels_app.consumers.messages import (
    Action,
    Complete,
    Inspect,
    Pong,
    Question,
    Resume,
    RunRequest,
    decode_client_message,
    request_id_in,
)
from kernels_app.errors import HubError, Malformed, TooMany
from kernels_app.relay.feeds import DocumentFeed, Listener, Relay, relay_of_this_loop
from kernels_app.relay.flow import Flow
from kernels_app.relay.mailbox import mailbox_of_this_loop
from kernels_app.relay.watching import Watcher
from kernels_app.selectors.cells import RunsSnapshot, runs_snapshot
from kernels_app.services.notices import notices_of_document
from kernels_app.services.runs import AcceptedRuns
from notebooks_app.models import Document
from notebooks_app.wire import hub_transport
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.sockets import HubConsumer
from zasper_hub.accounts.tokens import Scope

log = structlog.get_logger(__name__)

MAX_WAITING_ACTIONS = 200  # of one socket; they are carried out one after the other
MAX_QUESTIONS = 8  # of one socket, under way at once
ANSWER_TIMEOUT_S = 10.0


class DatabaseRows:
    """The rows, for a Watcher."""

    async def snapshot(self, document_id: UUID) -> RunsSnapshot | None:
        snapshot: RunsSnapshot | None = await database_sync_to_async(runs_snapshot)(document_id)
        return snapshot

    async def log_seq(self, document_id: UUID) -> int | None:
        return await Document.objects.filter(pk=document_id).values_list("log_seq", flat=True).afirst()


# The socket ended by our word: the person may not be here any more, or takes nothing.
FIRST_OWN_CLOSE_CODE = 4000
_of_gone_pages: set[asyncio.Task[None]] = set()


class RunsConsumer(HubConsumer):
    """One browser at one document. Viewers watch; editors run."""

    need: ClassVar[Need] = Need.VIEWER
    token_scope: ClassVar[Scope] = Scope.READ

    async def prepare(self) -> None:
        self.document_id: UUID = self.route_parameters["document_id"]
        self._flow = Flow()
        self._actions: asyncio.Queue[tuple[Action, str | None]] = asyncio.Queue(MAX_WAITING_ACTIONS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None
        self._question_count = 0
        self._relay: Relay = relay_of_this_loop(await hub_transport())

    async def opened(self) -> None:
        self._carrying_out = asyncio.create_task(self._carry_out_actions())

    async def closed(self, close_code: int) -> None:
        tasks = [*self._tasks, *([self._sender] if self._sender is not None else [])]
        self._is_gone = True
        is_done_all_the_same = (
            close_code < FIRST_OWN_CLOSE_CODE
        )  # "restart and run all", and the page is gone
        if self._carrying_out is not None and not (is_done_all_the_same and self._is_acting):
            tasks.append(self._carrying_out)  # it waits for the page, or for actions
            self._carrying_out = None
        if is_done_all_the_same and not self._actions.empty() and self._carrying_out is None:
            self._carrying_out = asyncio.create_task(self._carry_out_actions())
        if self._carrying_out is not None:
            _of_gone_pages.add(self._carrying_out)
            self._carrying_out.add_done_callback(_of_gone_pages.discard)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def received(self, frame: str | bytes) -> None:
        try:
            message = decode_client_message(frame)
            match message:
                case Pong():
                    self._flow.confirm(message.number)
                case Resume():
                    await self._resume(message.seq)
                case Complete() | Inspect():
                    self._answer_later(message)
                case _:
                    self._queue(message)
        except HubError as error:
            await self._refuse_message(error, request_id_in(frame))

    # What goes out

    async def _resume(self, seq: int) -> None:
        if seq < 0 or seq >= 1 << 63:
            raise Malformed("`seq` is not a sequence number.")
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        self._sender = asyncio.create_task(self._send_log(seq))

    async def _send_log(self, seq: int) -> None:
        attached: tuple[DocumentFeed, Listener] | None = None
        try:
            attached = await self._attach()
            await self._tell_notices(attached[1])
            watcher = Watcher(
                self._relay.transport,
                *attached,
                DatabaseRows(),
                passing_errors=(TransportError, DatabaseError),
            )
            async with contextlib.aclosing(watcher.frames(seq)) as frames:
                async for frame in frames:
                    await self._send_frame(frame)
        except HubError as error:
            await self.close_with(error)
        except Exception:
            log.exception("runs_socket_crashed", document_id=str(self.document_id))
            await self.close_with(HubError())
        finally:
            if attached is not None:
                with contextlib.suppress(TransportError):
                    await self._relay.detach(*attached)

    async def _tell_notices(self, listener: Listener) -> None:
        """What holds for the kernel now, after what the page gets of the log; it is told again when it changes."""
        try:
            notices = await database_sync_to_async(notices_of_document)(self.document_id)
        except (DatabaseError, TransportError, HubError):
            return
        for notice in notices:
            listener.put(notice)

    async def _attach(self) -> tuple[DocumentFeed, Listener]:
        while True:
            try:
                return await self._relay.attach(self.document_id)
            except TransportError:
                await asyncio.sleep(1.0)  # the page stays open; it says "connecting" until the first frame

    async def _send_frame(self, frame: bytes) -> None:
        ping = await self._flow.admit(len(frame))
        await self.send(text_data=frame.decode())
        if ping is not None:
            await self.send(text_data=f'{{"type":"ping","number":{ping}}}')

    async def _send_message(self, **fields: Any) -> None:
        await self._send_frame(msgspec.json.encode(fields))

    async def _refuse_message(self, error: HubError, request_id: str | None) -> None:
        fields = {} if request_id is None else {"request_id": request_id}
        await self._send_message(type="refused", error=error.as_json(), **fields)

    # What comes in

    def _queue(self, message: Action) -> None:
        request_id = message.request_id if isinstance(message, RunRequest) else None
        try:
            self._actions.put_nowait((message, request_id))
        except asyncio.QueueFull:
            raise TooMany from None

    async def _carry_out_actions(self) -> None:
        """One after the other, in the order they came; until the last one when the page is gone."""
        while not (self._is_gone and self._actions.empty()):
            message, request_id = await self._actions.get()
            self._is_acting = True
            refusal: HubError | None = None
            accepted: AcceptedRuns | None = None
            try:
                accepted = await database_sync_to_async(carry_out)(self.caller, self.document_id, message)
            except HubError as error:
                refusal = error
            except DatabaseError:
                log.exception("action_failed", document_id=str(self.document_id))
                refusal = HubError(code="unavailable")
            except Exception:
                log.exception("action_failed", document_id=str(self.document_id))
                refusal = HubError()
            self._is_acting = False
            if self._is_gone:
                continue
            if refusal is not None:
                await self._refuse_message(refusal, request_id)
            elif accepted is not None:
                await self._send_message(
                    type="accepted",
                    request_id=accepted.request_id,
                    run_ids=[str(run_id) for run_id in accepted.run_ids],
                )

    def _answer_later(self, question: Question) -> None:
        if self._question_count >= MAX_QUESTIONS:
            raise TooMany
        self._question_count += 1
        self._spawn(self._answer(question))

    async def _answer(self, question: Question) -> None:
        try:
            fields = await self._ask(question)
        except HubError as error:
            fields = {"error": error.as_json()}
        except Exception:
            log.exception("question_failed", document_id=str(self.document_id))
            fields = {"error": HubError().as_json()}
        finally:
            self._question_count -= 1
        await self._send_message(type="reply", id=question.id, **fields)

    async def _ask(self, question: Question) -> dict[str, Any]:
        kernel = await database_sync_to_async(kernel_to_ask)(self.caller, self.document_id)
        content: dict[str, Any] = {"code": question.code, "cursor_pos": question.cursor_pos}
        if isinstance(question, Inspect):
            content["detail_level"] = question.detail_level
        answer = await mailbox_of_this_loop(self._relay.transport).ask(
            node_id=str(kernel.node_id),
            fence=kernel.fence,
            kernel_id=KernelId(str(kernel.pk)),
            message_type="inspect_request" if isinstance(question, Inspect) else "complete_request",
            content=msgspec.json.encode(content),
            timeout_s=ANSWER_TIMEOUT_S,
        )
        if answer.error:
            return {"error": HubError(answer.error[:500], code="no_kernel_reply").as_json()}
        return {"content": msgspec.Raw(answer.content)}

    _carrying_out: asyncio.Task[None] | None = None
    _is_acting = False
    _is_gone = False

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
