"""What a message of the runs socket does, on behalf of its sender. Sync: called in a thread, one at a time a socket."""

from __future__ import annotations

from typing import assert_never
from uuid import UUID

import msgspec

from kernels_app.bus.envelopes import SendComm
from kernels_app.bus.identifiers import KernelId
from kernels_app.consumers.messages import (
    Action,
    ClearOutputsRequest,
    Comm,
    InputReply,
    Interrupt,
    Keep,
    Restart,
    RunRequest,
    Shutdown,
    Start,
)
from kernels_app.errors import KernelNotRunning, ViewerOnly
from kernels_app.models import Kernel
from kernels_app.selectors.kernels import live_kernel
from kernels_app.services.culling import keep_kernel
from kernels_app.services.delivery import deliver
from kernels_app.services.kernels import (
    interrupt_kernel,
    require_kernel,
    restart_kernel,
    start_kernel,
    stop_kernel,
)
from kernels_app.services.runs import AcceptedRuns, CellToRun, answer_input, clear_outputs, run_cells
from notebooks_app.access import document_and_role_for
from notebooks_app.models import Document, Role
from zasper_hub.accounts.authentication import Caller
from zasper_hub.accounts.errors import WrongScope
from zasper_hub.accounts.tokens import Scope


def carry_out(caller: Caller, document_id: UUID, message: Action) -> AcceptedRuns | None:
    """What `run` accepted; None for the other messages.

    Raises:
        HubError: it was refused.
    """
    document = _document_to_run(caller, document_id)
    match message:
        case RunRequest():
            return run_cells(
                user=caller.user,
                document=document,
                request_id=message.request_id,
                cells=[CellToRun(cell.cell_id, cell.source) for cell in message.cells],
                stop_on_error=message.stop_on_error,
                kernelspec_name=message.kernelspec_name,
            )
        case Start():
            start_kernel(user=caller.user, document=document, kernelspec_name=message.kernelspec_name)
        case Interrupt():
            interrupt_kernel(document)
        case Restart():
            restart_kernel(user=caller.user, document=document)
        case Shutdown():
            kernel = live_kernel(document.pk)
            if kernel is None:
                raise KernelNotRunning
            stop_kernel(kernel)
        case Keep():
            kernel = live_kernel(document.pk)
            if kernel is None:
                raise KernelNotRunning
            keep_kernel(kernel)
        case InputReply():
            answer_input(document, input_id=message.input_id, value=message.value)
        case ClearOutputsRequest():
            clear_outputs(document, message.cells)
        case Comm():
            kernel = require_kernel(document)
            command = SendComm(
                fence=kernel.fence,
                kernel_id=KernelId(str(kernel.pk)),
                message_type=message.message_type,
                content=msgspec.json.encode(message.content),
                metadata=msgspec.json.encode(message.metadata),
            )
            deliver(kernel, command)
        case _:
            assert_never(message)
    return None


def kernel_to_ask(caller: Caller, document_id: UUID) -> Kernel:
    """The document's kernel, for somebody who may run code in it (a completion is code too).

    Raises:
        NotFound, ViewerOnly, WrongScope, KernelNotRunning
    """
    return require_kernel(_document_to_run(caller, document_id))


def _document_to_run(caller: Caller, document_id: UUID) -> Document:
    document, role = document_and_role_for(caller.user, document_id)
    if role.rank < Role.EDITOR.rank:
        raise ViewerOnly
    if caller.scopes is not None and Scope.RUN not in caller.scopes:
        raise WrongScope(
            f"The API token does not have the scope this needs: {Scope.RUN.value}.", scope=Scope.RUN.value
        )
    return document
