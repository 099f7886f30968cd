"""Everything that travels between hub and node, as versioned msgspec structs. Pure.

Commands go to a node's command stream, events to `EVENTS_STREAM`, notes about the output log to
`RUNS_STREAM`, replies to a web process's mailbox. The operations of the output log are in
`operations`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kernels_app.bus.identifiers import (
    CellId,
    DocumentId,
    KernelId,
    Mailbox,
    NodeId,
    RunId,
    StreamId,
)
from kernels_app.bus.operations import KernelStateName
from kernels_app.bus.terminals import AnyTerminalCommand

VERSION = 1


class Limits(msgspec.Struct, frozen=True):
    """What a kernel may use; None is unlimited. Bytes, cores, seconds."""

    memory_bytes: int | None = None
    cpu_cores: float | None = None
    process_count: int | None = None
    idle_timeout_s: int | None = None
    max_life_s: int | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="t"):
    """Base of commands. A node refuses one whose `fence` is not its own."""

    fence: int
    kernel_id: KernelId
    version: int = VERSION


class StartKernel(Command, frozen=True, kw_only=True, tag="start"):
    """`project_path` is relative to the node's projects root; `cwd` and `session_file` relative to the project."""

    kernelspec_name: str
    project_path: str
    cwd: str
    environment: dict[str, str]
    limits: Limits
    document_id: DocumentId | None = None
    log_generation: int = 0
    session_file: str = ""


class StopKernel(Command, frozen=True, kw_only=True, tag="stop"):
    """Ends the kernel and its process group. `state` is what it ends as (stopped, culled; killed: at once, unasked).

    With `quiet_s` only if it is idle and was not used for so long: any other goes on, and `StopRefused` says so.
    """

    state: KernelStateName = "stopped"
    reason: str = ""
    quiet_s: float | None = None


class InterruptKernel(Command, frozen=True, kw_only=True, tag="interrupt"):
    """Interrupts the running cell; what is queued behind it is cancelled."""


class RestartKernel(Command, frozen=True, kw_only=True, tag="restart"):
    """New process, same id and connection; what runs or is queued ends as interrupted/cancelled."""


class UpdateLimits(Command, frozen=True, kw_only=True, tag="update_limits"):
    """What a running kernel may use changed; it holds at once where the provisioner can, else from the next start."""

    limits: Limits


class CellSource(msgspec.Struct, frozen=True):
    cell_id: CellId
    run_id: RunId
    source: str


class Execute(Command, frozen=True, kw_only=True, tag="execute"):
    """Queues the cells in order. A `run_id` the node has seen is ignored: repeats are harmless."""

    request_id: str
    cells: list[CellSource]
    stop_on_error: bool = True
    allow_stdin: bool = True


class AnswerInput(Command, frozen=True, kw_only=True, tag="answer_input"):
    input_id: str
    value: str


class ClearOutputs(Command, frozen=True, kw_only=True, tag="clear_outputs"):
    """A person cleared these cells' outputs."""

    cell_ids: list[CellId]


class AskKernel(Command, frozen=True, kw_only=True, tag="ask"):
    """A request on the shell channel with one reply: complete, inspect, is_complete, kernel_info.

    The reply goes to `reply_to` as `KernelAnswer` with the same `request_id`.
    """

    request_id: str
    reply_to: Mailbox
    message_type: str
    content: bytes  # JSON


class SendComm(Command, frozen=True, kw_only=True, tag="comm"):
    """A comm_open, comm_msg or comm_close of a browser. `content` and `metadata` are JSON."""

    message_type: str
    content: bytes
    metadata: bytes = b"{}"
    buffers: list[bytes] = []


class DrainNode(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="drain"):
    """The node takes no new kernels and terminals, until it is told otherwise. What it has goes on."""

    fence: int
    is_draining: bool
    version: int = VERSION


AnyCommand = (
    StartKernel | StopKernel | InterruptKernel | RestartKernel | Execute | AnswerInput
    | ClearOutputs | AskKernel | SendComm | UpdateLimits
)  # fmt: skip


# Node -> recorder


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="t"):
    """Base of events. `at` is milliseconds since 1970."""

    node_id: NodeId
    fence: int
    at: int
    version: int = VERSION


class NodeStarted(Event, frozen=True, kw_only=True, tag="node_started"):
    """A node began a new life: its kernels of earlier fences that are not in `adopted` are gone."""

    info: bytes  # JSON NodeInfo
    adopted: list[KernelId] = []


class NodeStopped(Event, frozen=True, kw_only=True, tag="node_stopped"):
    """A node ends in good order; it has stopped its kernels."""


class KernelEvent(Event, frozen=True, kw_only=True, tag="kernel"):
    """State of a kernel, for its row (with or without a document)."""

    kernel_id: KernelId
    state: KernelStateName
    reason: str = ""


class StopRefused(Event, frozen=True, kw_only=True, tag="stop_refused"):
    """A kernel that was to end only if nobody uses it goes on: somebody does."""

    kernel_id: KernelId
    state: KernelStateName


class KernelFigures(msgspec.Struct, frozen=True):
    """What a kernel uses now: memory of all its processes, cores over the last seconds."""

    memory_bytes: int
    cpu_cores: float


class KernelsMeasured(Event, frozen=True, kw_only=True, tag="measured"):
    """Figures of those kernels of a node for which they changed; at most every few seconds."""

    kernels: dict[KernelId, KernelFigures]


class ProjectFigures(msgspec.Struct, frozen=True):
    """Files of a project, in bytes, and how much more that is than the least since kernels or terminals run in it."""

    files_bytes: int
    grown_bytes: int


class ProjectsMeasured(Event, frozen=True, kw_only=True, tag="projects_measured"):
    """By their ids, projects in which a node's kernels and terminals run: those that it measured and found changed."""

    projects: dict[str, ProjectFigures]


AnyEvent = NodeStarted | NodeStopped | KernelEvent | StopRefused | KernelsMeasured | ProjectsMeasured


class RunNote(msgspec.Struct, frozen=True, kw_only=True):
    """In `RUNS_STREAM`: the output log of this document has operations up to `seq`."""

    document_id: DocumentId
    seq: int
    version: int = VERSION


class DocumentNote(msgspec.Struct, frozen=True, kw_only=True):
    """In `DOCUMENTS_STREAM`: the update log of this document has entries up to `stream_id`."""

    document_id: DocumentId
    epoch: str
    stream_id: StreamId
    version: int = VERSION


# Node -> web


class KernelAnswer(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="answer"):
    """Reply to `AskKernel`. `content` is JSON; `error` is set instead when there is none."""

    request_id: str
    content: bytes = b""
    error: str = ""


class CommMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="comm_message"):
    """A comm message of a kernel for the browsers at a document."""

    document_id: DocumentId
    kernel_id: KernelId
    message_type: str
    content: bytes
    metadata: bytes
    buffers: list[bytes] = []


AnyMail = KernelAnswer | CommMessage


class KernelSpecInfo(msgspec.Struct, frozen=True):
    """A kernelspec as clients may see it. `argv` names programs and files without their folders.

    `resources`: names of its logo files; their bytes are values on the wire (`kernelspec_resource_key`).
    """

    name: str
    display_name: str
    language: str
    argv: list[str] = []
    interrupt_mode: str = "signal"
    metadata: dict[str, Any] = {}
    resources: list[str] = []


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a node registers in `NODES_KEY` (field = node id, JSON) and renews with its lease.

    `isolation`: process, sandbox or container; `enforcement`: what holds the limits of memory, cpu and processes
    (cgroup, rlimit, engine, watchdog, niceness); `warnings`: sentences for an administrator.
    """

    node_id: NodeId
    fence: int
    provisioner: str
    kernelspecs: list[KernelSpecInfo]
    memory_bytes: int
    cpu_count: int
    kernel_count: int = 0
    labels: dict[str, str] = {}
    isolation: str = ""
    enforcement: dict[str, str] = {}
    warnings: list[str] = []
    renewed_at: int = 0
    slot_count: int = 0  # kernels it takes at most; 0: as many as its memory allows
    is_draining: bool = False


class NodeKernels(msgspec.Struct, frozen=True, kw_only=True):
    """What a node writes to `NODE_KERNELS_KEY` (field = node id, JSON) with its lease: the kernels that it has."""

    fence: int
    kernel_ids: list[KernelId]


_encoder = msgspec.msgpack.Encoder()
_command_decoder = msgspec.msgpack.Decoder(AnyCommand | DrainNode | AnyTerminalCommand)
_event_decoder = msgspec.msgpack.Decoder(AnyEvent)
_mail_decoder = msgspec.msgpack.Decoder(AnyMail)
_note_decoder = msgspec.msgpack.Decoder(RunNote)
_document_note_decoder = msgspec.msgpack.Decoder(DocumentNote)


def encode(
    message: AnyCommand | DrainNode | AnyEvent | AnyMail | RunNote | DocumentNote,
) -> bytes:
    return _encoder.encode(message)


def decode_command(payload: bytes) -> AnyCommand | DrainNode | AnyTerminalCommand:
    """Raises msgspec.ValidationError / DecodeError when it is none."""
    command: AnyCommand | DrainNode | AnyTerminalCommand = _command_decoder.decode(payload)
    return command


def decode_event(payload: bytes) -> AnyEvent:
    event: AnyEvent = _event_decoder.decode(payload)
    return event


def decode_mail(payload: bytes) -> AnyMail:
    mail: AnyMail = _mail_decoder.decode(payload)
    return mail


def decode_note(payload: bytes) -> RunNote:
    return _note_decoder.decode(payload)


def decode_document_note(payload: bytes) -> DocumentNote:
    return _document_note_decoder.decode(payload)
