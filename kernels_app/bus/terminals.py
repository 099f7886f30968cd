"""What travels for terminals: commands to a node, output to readers, the register of live terminals. Pure.

Output goes to a topic of its own for each reader (one open socket at one terminal), numbered by byte offsets since the
terminal's start. The node keeps the last part of it and is the only source of truth: a reader that finds a gap, or that
was interrupted, comes again from the offset it has. Each reader says how far it is; a terminal whose readers are
behind is not read, so its programs wait.
"""

from __future__ import annotations

from typing import NewType

import msgspec

from kernels_app.bus.identifiers import NodeId

VERSION = 1

TerminalId = NewType("TerminalId", str)
ReaderId = NewType("ReaderId", str)

# In the labels of a node's NodeInfo: it runs terminals.
TERMINALS_LABEL = "terminals"
# How far a reader may be behind, and how much input may be under way: enough for the wire's latency.
WINDOW_BYTES = 128 << 10
INPUT_WINDOW_BYTES = 64 << 10
MAX_INPUT_BYTES = 16 << 10  # of one command: others' commands pass in between
# A reader tells that it lives; one that was silent for so long is gone.
SIGN_OF_LIFE_S = 20.0
SILENT_READER_S = 70.0
# The node renews the entries of its terminals; one that is older is of nobody.
RENEW_ENTRY_S = 30.0
STALE_ENTRY_S = 100.0


def terminals_key(project_id: str) -> str:
    """Fields: terminal id → JSON TerminalInfo of a live terminal."""
    return f"terminals:{project_id}"


def terminals_lease(project_id: str) -> str:
    """Held while a name is chosen."""
    return f"terminals:{project_id}:lease"


def terminals_counter(project_id: str) -> str:
    """The last number that was given as a name."""
    return f"terminals:{project_id}:last"


def terminals_of_person(user_id: str) -> str:
    """Fields: terminal id → project id, of the terminals a person started. Those that ended are removed by who counts
    them."""
    return f"terminals:of:{user_id}"


def reader_topic(reader_id: ReaderId) -> str:
    return f"terminal:{reader_id}"


class TerminalInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A live terminal. Times are milliseconds since 1970; `renewed_at` is by the writer's clock."""

    terminal_id: TerminalId
    project_id: str
    name: str
    user_id: str
    node_id: NodeId
    fence: int
    started_at: int
    last_activity_at: int
    renewed_at: int


class TerminalLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a terminal may use; None is unlimited."""

    memory_bytes: int | None = None
    cpu_cores: float | None = None
    process_count: int | None = None
    # Nobody at it, no job in it, nothing typed and nothing printed for so long: it ends.
    idle_timeout_s: int | None = None


class TerminalCommand(msgspec.Struct, frozen=True, kw_only=True, tag_field="t"):
    """Base of commands. A node refuses one whose `fence` is not its own."""

    fence: int
    terminal_id: TerminalId
    version: int = VERSION


class StartTerminal(TerminalCommand, frozen=True, kw_only=True, tag="terminal_start"):
    """`info` is what the hub registered. `project_path` is relative to the node's projects root; `cwd` relative to the
    project, which is taken when it names no folder in it. A repeat is ignored."""

    info: TerminalInfo
    project_path: str
    cwd: str = ""
    limits: TerminalLimits


class StopTerminal(TerminalCommand, frozen=True, kw_only=True, tag="terminal_stop"):
    """Ends the shell and all that was started in it."""

    reason: str = ""


class ReaderCommand(TerminalCommand, frozen=True, kw_only=True):
    """Base of what a reader says."""

    reader_id: ReaderId


class AttachReader(ReaderCommand, frozen=True, kw_only=True, tag="terminal_attach"):
    """From now on the reader gets output: from `after` on if that is still kept, else all that is kept. Whoever finds a
    gap comes again as another reader."""

    after: int | None = None


class ConfirmOutput(ReaderCommand, frozen=True, kw_only=True, tag="terminal_confirm"):
    """The reader has got the output up to this offset. Also its sign of life."""

    up_to: int


class TerminalInput(ReaderCommand, frozen=True, kw_only=True, tag="terminal_input"):
    """`offset` counts the reader's input before this: what came before is not written twice."""

    offset: int
    data: bytes


class ResizeTerminal(ReaderCommand, frozen=True, kw_only=True, tag="terminal_resize"):
    """The reader's size; the terminal has the smallest of all of them."""

    rows: int
    columns: int


class DetachReader(ReaderCommand, frozen=True, kw_only=True, tag="terminal_detach"):
    """The reader is gone. The terminal goes on."""


AnyTerminalCommand = (
    StartTerminal | StopTerminal | AttachReader | ConfirmOutput | TerminalInput | ResizeTerminal | DetachReader
)  # fmt: skip


# Node -> reader


class TerminalMail(msgspec.Struct, frozen=True, kw_only=True, tag_field="t"):
    """Base of what goes to one reader."""


class TerminalOutput(TerminalMail, frozen=True, kw_only=True, tag="output"):
    """`offset` is that of the first byte of `data`; `input_taken` counts the reader's input the terminal has taken."""

    offset: int
    data: bytes
    input_taken: int = 0


class TerminalEnded(TerminalMail, frozen=True, kw_only=True, tag="ended"):
    """The last word, after all output. `exit_code` is minus the signal's number when one ended the shell."""

    reason: str
    exit_code: int | None = None


class ReaderDropped(TerminalMail, frozen=True, kw_only=True, tag="dropped"):
    """The reader kept the terminal waiting for too long. The terminal goes on; the reader may come again."""


AnyTerminalMail = TerminalOutput | TerminalEnded | ReaderDropped

_encoder = msgspec.msgpack.Encoder()
_mail_decoder = msgspec.msgpack.Decoder(AnyTerminalMail)


def encode_terminal(message: AnyTerminalCommand | AnyTerminalMail) -> bytes:
    return _encoder.encode(message)


def decode_terminal_mail(payload: bytes) -> AnyTerminalMail:
    mail: AnyTerminalMail = _mail_decoder.decode(payload)
    return mail


def encode_info(info: TerminalInfo) -> bytes:
    return msgspec.json.encode(info)


def decode_info(payload: bytes) -> TerminalInfo:
    return msgspec.json.decode(payload, type=TerminalInfo)
