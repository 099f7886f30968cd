"""Operations of a document's output log: what a run produced, folded, in order. Pure.

One writer (the node that holds the kernel, or the hub when no kernel lives) numbers them; web
processes pass them to browsers as the bytes they came in; the recorder applies them to rows.
The JSON form is a contract with the browser: docs/reference/runs.md.

Text positions are counted in UTF-16 code units, the unit of JavaScript strings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from kernels_app.bus.identifiers import CellId, KernelId, RunId

OutputType = Literal["display_data", "execute_result"]
RunStatus = Literal["ok", "error", "aborted", "cancelled", "interrupted", "died", "not_run"]
KernelStateName = Literal[
    "pending", "starting", "idle", "busy", "restarting", "stopping",
    "stopped", "culled", "killed", "died", "failed", "lost",
]  # fmt: skip


class BlobRef(msgspec.Struct, frozen=True):
    """A payload kept as a blob, content-addressed."""

    sha256: str
    size_bytes: int


class Operation(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    """Base of all operations. `at` is the writer's clock, milliseconds since 1970."""

    seq: int
    at: int


class CellOperation(Operation, frozen=True, kw_only=True):
    cell_id: CellId
    run_id: RunId


class Queued(CellOperation, frozen=True, kw_only=True, tag="queued"):
    """The run waits for its kernel. The cell keeps its old outputs until `started`.

    `is_placeless`: the kernel itself waits for a place; its node has the run when it says the same again.
    """

    source_sha256: str = ""
    is_placeless: bool = False


class Started(CellOperation, frozen=True, kw_only=True, tag="started"):
    """The kernel took the run: the cell's outputs are emptied."""


class Counted(CellOperation, frozen=True, kw_only=True, tag="counted"):
    """The kernel told the execution count (`execute_input`)."""

    execution_count: int


class Stream(CellOperation, frozen=True, kw_only=True, tag="stream"):
    """Change of the text of output `index` (a new stream output when `index` equals their number).

    A stream output has `text` (its head) and, past the head limit, `tail`; `part` says which one
    changes. In this order: `cut` units go from the start of the part, `drop` units from its end
    (a `\\r` or cursor-up rewrote the last lines), then `text` is appended. `omitted` is the total
    number of characters between head and tail that are not shown, after this operation.
    """

    index: int
    name: Literal["stdout", "stderr"]
    text: str
    part: Literal["head", "tail"] = "head"
    cut: int = 0
    drop: int = 0
    omitted: int = 0


class StreamChunk(CellOperation, frozen=True, kw_only=True, tag="stream_chunk"):
    """One more piece of the whole text of output `index` is kept as a blob.

    Sent only for streams past the head limit. The pieces in order are the whole text, from its
    beginning. `complete` false on the last one (with `blob` None) means the 50 MB limit was reached.
    """

    index: int
    blob: BlobRef | None = None
    limit_reached: bool = False


class Display(CellOperation, frozen=True, kw_only=True, tag="display"):
    """A new output `index`. A MIME type is in `data` (inline, as nbformat has it) or in `blobs`."""

    index: int
    output_type: OutputType
    data: dict[str, Any]
    metadata: dict[str, Any]
    blobs: dict[str, BlobRef] = {}
    display_id: str | None = None
    execution_count: int | None = None


class DisplayTarget(msgspec.Struct, frozen=True):
    cell_id: CellId
    index: int


class UpdateDisplay(Operation, frozen=True, kw_only=True, tag="update_display"):
    """New content for every output that shows `display_id`, in whichever cell."""

    display_id: str
    targets: list[DisplayTarget]
    data: dict[str, Any]
    metadata: dict[str, Any]
    blobs: dict[str, BlobRef] = {}


class Error(CellOperation, frozen=True, kw_only=True, tag="error"):
    """A new output `index`: an exception."""

    index: int
    ename: str
    evalue: str
    traceback: list[str]


class Notice(CellOperation, frozen=True, kw_only=True, tag="notice"):
    """A new output `index`: a limit of the hub that the person must see (in the notebook, a
    `display_data` of text with metadata `{"zasper": {"notice": code}}`)."""

    index: int
    code: str
    text: str


class Clear(CellOperation, frozen=True, kw_only=True, tag="clear"):
    """The cell's outputs are emptied (`clear_output`, or a person's "clear outputs")."""


class InputRequest(CellOperation, frozen=True, kw_only=True, tag="input_request"):
    """The kernel waits for a line from the person (`input()`, getpass)."""

    input_id: str
    prompt: str
    password: bool


class InputClosed(CellOperation, frozen=True, kw_only=True, tag="input_closed"):
    """The line was given (`value`, empty for a password) or is no longer wanted (`value` None)."""

    input_id: str
    value: str | None = None


class Finished(CellOperation, frozen=True, kw_only=True, tag="finished"):
    """The run ended. `started_at` None: it never started. Milliseconds since 1970."""

    status: RunStatus
    execution_count: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    reason: str = ""


class KernelChanged(Operation, frozen=True, kw_only=True, tag="kernel"):
    """State of the document's kernel. `reason` is a sentence for a person when it ended."""

    kernel_id: KernelId
    kernelspec_name: str
    state: KernelStateName
    reason: str = ""


AnyOperation = (
    Queued | Started | Counted | Stream | StreamChunk | Display | UpdateDisplay | Error | Notice
    | Clear | InputRequest | InputClosed | Finished | KernelChanged
)  # fmt: skip


class Batch(msgspec.Struct, frozen=True, tag_field="type", tag="ops"):
    """What one log entry holds and one socket message carries: operations in order of `seq`."""

    ops: list[AnyOperation]


def blobs_of(operations: Iterable[AnyOperation]) -> dict[str, BlobRef]:
    """The blobs that the operations name, by SHA-256."""
    found: dict[str, BlobRef] = {}
    for operation in operations:
        if isinstance(operation, StreamChunk):
            if operation.blob is not None:
                found[operation.blob.sha256] = operation.blob
        elif isinstance(operation, Display | UpdateDisplay):
            found.update((blob.sha256, blob) for blob in operation.blobs.values())
    return found


# On the topic of a document's runs: the rows have outputs that no operation told of. Never a frame for a page.
ROWS_REPLACED = b'{"type":"rows_replaced"}'

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Batch)


def encode_batch(ops: list[AnyOperation]) -> bytes:
    """JSON `{"type": "ops", "ops": [...]}`: made once, by the writer."""
    return _encoder.encode(Batch(ops))


def decode_batch(payload: bytes) -> Batch:
    """Raises msgspec.ValidationError / DecodeError when it is none."""
    return _decoder.decode(payload)
