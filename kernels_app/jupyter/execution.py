"""Execution by REST, on the server: `api/kernels/<id>/execute`, `…/requests/<id>` and `…/input`.

Three extensions of Jupyter Server have such a route, with bodies of their own; all are understood:
`{document_id, cell_id}`, `{document_id, cells: [{cell_id, source_hash}], request_id}` and `{code, metadata}`.
`document_id` is the hub's id of a live document, alone or after a colon (`json:notebook:<id>`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.errors import Conflict, Invalid, NotFound, TooLarge, Unavailable
from kernels_app.jupyter.bodies import optional_text
from kernels_app.jupyter.kernels import live_kernel_of
from kernels_app.models import Kernel, Run, RunState
from kernels_app.relay.channels import channel_relay_of_this_loop
from kernels_app.relay.code_runs import code_run_key, code_runs_of_this_loop
from kernels_app.selectors.kernels import UNFINISHED_STATES
from kernels_app.selectors.notebooks import live_notebook
from kernels_app.services.runs import (
    MAX_SOURCE_CHARACTERS,
    CellToRun,
    answer_input,
    run_cells,
    run_saved_cells,
)
from notebooks_app.access import document_for
from notebooks_app.jupyter.endpoints import Call, Endpoint, JupyterError, answer
from notebooks_app.models import CellOutput, Document, Role
from notebooks_app.services.documents_content import read_whole_notebook
from notebooks_app.wire import blocking_transport, hub_transport
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

MAX_CELLS = 2_000

execute = Endpoint()
execution_request = Endpoint()
kernel_input = Endpoint()


@execute.on("POST", Need.EDITOR, Scope.RUN)
def run(call: Call, kernel_id: str) -> HttpResponseBase:
    kernel = live_kernel_of(call, kernel_id)
    body = call.json_body()
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    code = body.get("code")
    document_id = optional_text(body, "document_id") or optional_text(metadata, "document_id")
    cell_id = optional_text(body, "cell_id") or optional_text(metadata, "cell_id")
    if code is not None and not isinstance(code, str):
        raise JupyterError(400, "Not a text: code")
    if code is not None and len(code) > MAX_SOURCE_CHARACTERS:
        raise TooLarge
    if document_id is None:
        if code is None:
            raise JupyterError(400, "Missing field in JSON data: code, or document_id and cell_id")
        if kernel.node_id is None:
            raise Unavailable("The kernel waits for a free place. Try again.")
        request_id = async_to_sync(_start_code)(kernel, code, dict(metadata))
        return _accepted(call, kernel, [request_id])
    document = _document(call, document_id, kernel)
    request_key = optional_text(body, "request_id")
    if code is not None and cell_id is not None:
        accepted = run_cells(
            user=call.user,
            document=document,
            request_id=request_key or _new_request_id(),
            cells=[CellToRun(cell_id, code)],
        )
    elif "cells" in body:
        accepted = run_cells(
            user=call.user,
            document=document,
            request_id=request_key or _new_request_id(),
            cells=_cells(body["cells"], document),
        )
    elif cell_id is not None:
        accepted = run_saved_cells(
            user=call.user, document=document, cell_ids=[cell_id], request_id=request_key
        )
    else:
        raise JupyterError(400, "Missing field in JSON data: cell_id or cells")
    return _accepted(call, kernel, [str(run_id) for run_id in accepted.run_ids])


@execution_request.on("GET", Need.EDITOR, Scope.RUN)
def show_request(call: Call, kernel_id: str, request_id: str) -> HttpResponseBase:
    kernel = live_kernel_of(call, kernel_id)
    state = blocking_transport().get_value(code_run_key(str(kernel.pk), request_id[:100]))
    if state is None:
        return _run_answer(call, kernel, request_id)
    known = json.loads(state)
    if known["state"] == "done":
        return answer(known["result"])
    if known["state"] == "failed":
        return answer({"error": known["error"]}, status=500)
    if known["state"] == "input":
        return _asks(call, kernel, known["input_request"], known.get("parent_header", {}))
    return answer({}, status=202)


@kernel_input.on("POST", Need.EDITOR, Scope.RUN)
def give_input(call: Call, kernel_id: str) -> HttpResponseBase:
    kernel = live_kernel_of(call, kernel_id)
    value = call.json_body().get("input")
    if not isinstance(value, str):
        raise JupyterError(400, "Missing field in JSON data: input")
    waiting = (
        CellOutput.objects.filter(document=kernel.document).exclude(input=None).first()
        if kernel.document is not None
        else None
    )
    if waiting is not None and waiting.input is not None and kernel.document is not None:
        answer_input(kernel.document, input_id=str(waiting.input.get("input_id", "")), value=value)
    elif kernel.node_id is None or not async_to_sync(_answer_code)(kernel, value):
        raise Conflict("Nothing on this kernel waits for input here.")
    return HttpResponse(status=201)


async def _start_code(kernel: Kernel, code: str, metadata: dict[str, Any]) -> str:
    runs = code_runs_of_this_loop(channel_relay_of_this_loop(await hub_transport()))
    return await runs.start(
        kernel_id=KernelId(str(kernel.pk)),
        node_id=NodeId(str(kernel.node_id)),
        fence=kernel.fence,
        code=code,
        metadata=metadata,
    )


async def _answer_code(kernel: Kernel, value: str) -> bool:
    runs = code_runs_of_this_loop(channel_relay_of_this_loop(await hub_transport()))
    return await runs.answer(
        kernel_id=KernelId(str(kernel.pk)),
        node_id=NodeId(str(kernel.node_id)),
        fence=kernel.fence,
        value=value,
    )


def _document(call: Call, document_id: str, kernel: Kernel) -> Document:
    document = document_for(call.user, document_id.rpartition(":")[2], Role.EDITOR)
    if document.project_id != call.project.pk:
        raise NotFound("There is no such document in this project.")
    if kernel.document_id != document.pk:
        raise Conflict("This document does not run on this kernel.")
    return document


def _cells(value: object, document: Document) -> list[CellToRun]:
    """The cells as they are in the live document; each must still be what the client has, if it says what that is."""
    if not isinstance(value, list) or not value or len(value) > MAX_CELLS:
        raise Invalid(f"`cells` is a list of at most {MAX_CELLS} cells.")
    sources = {cell.cell_id: cell.source for cell in live_notebook(document).code_cells}
    chosen: list[CellToRun] = []
    for item in value:
        cell_id = item.get("cell_id") if isinstance(item, Mapping) else None
        source = sources.get(cell_id) if isinstance(cell_id, str) else None
        if not isinstance(cell_id, str) or source is None:
            raise Invalid("The notebook has no such code cell.", cell_id=str(cell_id)[:64])
        wanted = item.get("source_hash")
        if wanted is not None and str(wanted).removeprefix("sha256:") != _sha256(source):
            raise Conflict("The cell was changed since. Send what is there now.", cell_id=cell_id)
        chosen.append(CellToRun(cell_id, source))
    return chosen


def _run_answer(call: Call, kernel: Kernel, request_id: str) -> HttpResponseBase:
    """Of a run of a document's cell."""
    try:
        key = UUID(request_id)
    except ValueError as error:
        raise NotFound("There is no such request.") from error
    found = Run.objects.filter(pk=key, kernel=kernel).select_related("document").first()
    if found is None:
        raise NotFound("There is no such request.")
    if found.state in UNFINISHED_STATES:
        shown = CellOutput.objects.filter(document=found.document, cell_id=found.cell_id).first()
        if shown is not None and shown.run_id == str(found.pk) and shown.input:
            header = {"msg_id": str(shown.input.get("input_id", "")), "msg_type": "input_request"}
            return _asks(call, kernel, shown.input, header)
        return answer({}, status=202)
    cells = read_whole_notebook(found.document).cells
    outputs = next((cell.outputs for cell in cells if cell.id == found.cell_id), [])
    return answer(
        {
            "status": "ok" if found.state == RunState.OK else "error",
            "execution_count": found.execution_count,
            "outputs": json.dumps(outputs),
        }
    )


def _asks(call: Call, kernel: Kernel, question: Any, header: Any) -> HttpResponseBase:
    """`header` is that of the question: the parent of its answer."""
    response = answer({"parent_header": header, "input_request": question}, status=300)
    response["Location"] = _url(call, kernel, "input")
    return response


def _accepted(call: Call, kernel: Kernel, request_ids: list[str]) -> HttpResponseBase:
    response = answer({"request_ids": request_ids}, status=202)
    response["Location"] = _url(call, kernel, f"requests/{request_ids[0]}")
    return response


def _url(call: Call, kernel: Kernel, rest: str) -> str:
    """With scheme and host, as the client has them: jupyter-server-nbmodel's joins a path once more to its base."""
    return call.request.build_absolute_uri(f"{call.base_path}api/kernels/{kernel.pk}/{rest}")


def _new_request_id() -> str:
    return str(uuid4())


def _sha256(source: str) -> str:
    return hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()
