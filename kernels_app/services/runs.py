"""Run cells, answer their questions, clear their outputs."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from kernels_app.bus.envelopes import AnswerInput, ClearOutputs
from kernels_app.bus.identifiers import CellId, KernelId, RunId
from kernels_app.bus.operations import AnyOperation, Clear
from kernels_app.bus.transport import TransportError
from kernels_app.errors import Invalid, TooLarge, TooMany, Unavailable, UnknownCell
from kernels_app.models import LIVE_STATES, Kernel, KernelState, Run
from kernels_app.selectors.kernels import UNFINISHED_STATES, live_kernel
from kernels_app.selectors.notebooks import live_notebook
from kernels_app.services.commands import send_request, send_runs
from kernels_app.services.delivery import deliver
from kernels_app.services.hub_log import now_ms, write_without_kernel
from kernels_app.services.kernels import require_kernel, start_kernel
from notebooks_app.models import Document
from zasper_hub.accounts.models import User
from zasper_hub.accounts.services.audit import record

MAX_ID_CHARACTERS = 64  # the columns' width; nbformat's cell ids have at most 64
MAX_CELLS = 2_000  # a request; far above the largest notebooks
MAX_SOURCE_CHARACTERS = 1_000_000  # a cell; one frame of the socket holds 1 MiB
MAX_REQUEST_CHARACTERS = 8_000_000  # all cells of a request: it travels as one command
MAX_UNFINISHED_RUNS = 4_000  # a document: two whole notebooks of MAX_CELLS
MAX_INPUT_CHARACTERS = 65_536  # a line for input()
_TRIES = 3


@dataclass(frozen=True, slots=True)
class CellToRun:
    cell_id: str
    source: str


@dataclass(frozen=True, slots=True)
class AcceptedRuns:
    """The runs of a request, in its order, and the kernel that has them."""

    request_id: str
    run_ids: list[UUID]
    kernel_id: UUID | None


def run_cells(
    *,
    user: User,
    document: Document,
    request_id: str,
    cells: Sequence[CellToRun],
    stop_on_error: bool = True,
    kernelspec_name: str | None = None,
) -> AcceptedRuns:
    """Queues the cells, in order, on the document's kernel, which is started if there is none.

    A repeat with the same `request_id` gives the same runs and sends those again that no node has taken: harmless. Once
    it returns, the runs are rows: they will run even if every process of the hub is killed now.

    Raises:
        Invalid, TooLarge, TooMany, NoNode, UnknownKernelspec, QuotaExceeded, KernelStopping, Unavailable
    """
    _check_request(request_id, cells)
    unfinished = Run.objects.filter(document=document, state__in=UNFINISHED_STATES)
    has_room = unfinished.count() + len(cells) <= MAX_UNFINISHED_RUNS
    rows = _rows_of(user, document, request_id, cells, stop_on_error)
    # Mostly the kernel is there and the request is new: then nothing more need be asked.
    there = live_kernel(document.pk) if has_room else None
    if there is not None and there.state != KernelState.STOPPING:
        with suppress(IntegrityError):  # a repeat
            if _insert(there, rows):
                return AcceptedRuns(request_id, [run.pk for run in rows], there.pk)
    known = _accepted(document, request_id, cells)
    if known is not None:
        send_runs(Run.objects.filter(document=document, request_id=request_id))
        return known
    if not has_room:
        raise TooMany(
            f"At most {MAX_UNFINISHED_RUNS} cells of a notebook may wait. Let some finish, or interrupt."
        )
    for _ in range(_TRIES):
        kernel = start_kernel(user=user, document=document, kernelspec_name=kernelspec_name)
        if _insert(kernel, rows, may_be_there=True):
            accepted = _accepted(document, request_id, cells)
            assert accepted is not None
            return accepted
    raise Unavailable("The kernel ended while the cells were being queued. Try again.")


def run_saved_cells(
    *,
    user: User,
    document: Document,
    cell_ids: Sequence[str] | None,
    request_id: str | None = None,
    stop_on_error: bool = True,
) -> AcceptedRuns:
    """Runs code cells as they are in the live document now, in its order; all of them when `cell_ids` is None.

    Raises:
        UnknownCell: some ids are not those of code cells.
        Invalid: the notebook has no code cell.
        (and what `run_cells` raises)
    """
    live_cells = live_notebook(document).code_cells
    if cell_ids is None:
        chosen = [cell for cell in live_cells if cell.source.strip()]
        if not chosen:
            raise Invalid("The notebook has no code to run.")
    else:
        if len(cell_ids) > MAX_CELLS:
            raise TooLarge(f"At most {MAX_CELLS} cells a request.")
        wanted = set(cell_ids)
        chosen = [cell for cell in live_cells if cell.cell_id in wanted]
        unknown = sorted(wanted - {cell.cell_id for cell in chosen})
        if unknown:
            raise UnknownCell(
                "The notebook has no code cell with this id.",
                cells=[name[:MAX_ID_CHARACTERS] for name in unknown[:20]],
            )
    return run_cells(
        user=user,
        document=document,
        request_id=uuid.uuid4().hex if request_id is None else request_id,
        cells=[CellToRun(cell.cell_id, cell.source) for cell in chosen],
        stop_on_error=stop_on_error,
    )


def answer_input(document: Document, *, input_id: str, value: str) -> None:
    """Gives the kernel the line it waits for; a line for an earlier question is ignored by its node.

    Raises:
        KernelNotRunning, TooLarge, Unavailable
    """
    if len(value) > MAX_INPUT_CHARACTERS:
        raise TooLarge(f"A line may have at most {MAX_INPUT_CHARACTERS} characters.")
    kernel = require_kernel(document)
    deliver(
        kernel,
        AnswerInput(fence=kernel.fence, kernel_id=KernelId(str(kernel.pk)), input_id=input_id, value=value),
    )


def clear_outputs(document: Document, cell_ids: Sequence[str]) -> None:
    """Empties the outputs of these cells: by the kernel's node, or by the hub when no kernel lives.

    Raises:
        Invalid, Unavailable
    """
    if len(cell_ids) > MAX_CELLS or any(not _is_id(cell_id) for cell_id in cell_ids):
        raise Invalid(f"`cells` is a list of at most {MAX_CELLS} cell ids.")
    ids = [CellId(cell_id) for cell_id in dict.fromkeys(cell_ids)]
    if not ids:
        return

    def make_operations() -> list[AnyOperation]:
        at = now_ms()
        return [Clear(seq=0, at=at, cell_id=cell_id, run_id=RunId("")) for cell_id in ids]

    for _ in range(_TRIES):
        kernel = live_kernel(document.pk)
        if kernel is not None:
            deliver(
                kernel, ClearOutputs(fence=kernel.fence, kernel_id=KernelId(str(kernel.pk)), cell_ids=ids)
            )
            return
        try:
            if write_without_kernel(document.pk, make_operations):
                return
        except TransportError as error:
            raise Unavailable("The hub's message server does not answer. Try again in a moment.") from error
    raise Unavailable("The kernel is just being started or stopped. Try again in a moment.")


def _check_request(request_id: str, cells: Sequence[CellToRun]) -> None:
    if not _is_id(request_id):
        raise Invalid(f"`request_id` has 1 to {MAX_ID_CHARACTERS} characters.", field="request_id")
    if not cells:
        raise Invalid("There is no cell to run.", field="cells")
    if len(cells) > MAX_CELLS:
        raise TooLarge(f"At most {MAX_CELLS} cells a request.", field="cells")
    if any(not _is_id(cell.cell_id) for cell in cells):
        raise Invalid(f"A cell id has 1 to {MAX_ID_CHARACTERS} characters.", field="cells")
    if len({cell.cell_id for cell in cells}) != len(cells):
        raise Invalid("A cell appears twice in the request.", field="cells")
    if any(len(cell.source) > MAX_SOURCE_CHARACTERS for cell in cells):
        raise TooLarge(f"A cell may have at most {MAX_SOURCE_CHARACTERS} characters.", field="cells")
    if sum(len(cell.source) for cell in cells) > MAX_REQUEST_CHARACTERS:
        raise TooLarge(
            f"The cells of a request may have {MAX_REQUEST_CHARACTERS} characters in all.", field="cells"
        )


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_CHARACTERS and text.isprintable()


def _accepted(document: Document, request_id: str, cells: Sequence[CellToRun]) -> AcceptedRuns | None:
    """The request's runs, if all of them are rows already."""
    rows = {
        run.cell_id: run
        for run in Run.objects.filter(document=document, request_id=request_id).defer("source")
    }
    if any(cell.cell_id not in rows for cell in cells):
        return None
    runs = [rows[cell.cell_id] for cell in cells]
    return AcceptedRuns(request_id, [run.pk for run in runs], runs[-1].kernel_id)


def _rows_of(
    user: User, document: Document, request_id: str, cells: Sequence[CellToRun], stop_on_error: bool
) -> list[Run]:
    """Not saved yet, and without a kernel."""
    sources = [_storable(cell.source) for cell in cells]
    return [
        Run(
            document=document,
            user=user,
            request_id=request_id,
            cell_id=cell.cell_id,
            position=position,
            source=source,
            source_sha256=hashlib.sha256(source.encode()).hexdigest(),
            stop_on_error=stop_on_error,
        )
        for position, (cell, source) in enumerate(zip(cells, sources, strict=True))
    ]


def _insert(kernel: Kernel, runs: Sequence[Run], *, may_be_there: bool = False) -> bool:
    """Saves the runs as the kernel's, and has them sent. False, and nothing is done, when it has ended.

    `may_be_there`: some may be rows already, which stand.

    Raises:
        IntegrityError: some are rows already, and may not be.
    """
    for run in runs:
        run.kernel = kernel
    first = runs[0]
    with transaction.atomic():
        # Locked by this: it cannot be marked as ended between this look and the rows.
        is_live = Kernel.objects.filter(pk=kernel.pk, state__in=LIVE_STATES).update(
            last_activity_at=timezone.now()
        )
        if not is_live:
            return False
        Run.objects.bulk_create(runs, ignore_conflicts=may_be_there)
        record(
            "run",
            actor=first.user,
            target=f"document:{first.document_id}",
            team_id=first.document.project.team_id,
            request_id=first.request_id,
            kernel_id=str(kernel.pk),
            cells={run.cell_id: run.source_sha256 for run in runs},
        )
        if may_be_there:
            requested = Run.objects.filter(document_id=first.document_id, request_id=first.request_id)
            transaction.on_commit(lambda: send_runs(requested))
        else:
            kernel.refresh_from_db(fields=["node", "fence"])  # it may have got its place meanwhile
            transaction.on_commit(lambda: send_request(runs))
    return True


def _storable(source: str) -> str:
    """Without NUL, which PostgreSQL's text has not, and lone surrogates, which UTF-8 has not. No program has them."""
    return source.replace("\x00", "�").encode("utf-8", "replace").decode("utf-8")
