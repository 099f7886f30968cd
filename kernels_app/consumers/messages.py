"""What a browser sends on the runs socket, parsed once. docs/reference/runs.md"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kernels_app.errors import Malformed


class ClientMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all messages. Unknown fields are ignored: a newer page may send them."""


class Resume(ClientMessage, frozen=True, kw_only=True, tag="resume"):
    seq: int = 0


class CellToRunIn(msgspec.Struct, frozen=True):
    cell_id: str
    source: str


class RunRequest(ClientMessage, frozen=True, kw_only=True, tag="run"):
    request_id: str
    cells: list[CellToRunIn]
    stop_on_error: bool = True
    kernelspec_name: str | None = None


class Start(ClientMessage, frozen=True, kw_only=True, tag="start"):
    kernelspec_name: str | None = None


class Interrupt(ClientMessage, frozen=True, kw_only=True, tag="interrupt"):
    pass


class Restart(ClientMessage, frozen=True, kw_only=True, tag="restart"):
    pass


class Shutdown(ClientMessage, frozen=True, kw_only=True, tag="shutdown"):
    pass


class Keep(ClientMessage, frozen=True, kw_only=True, tag="keep"):
    pass


class InputReply(ClientMessage, frozen=True, kw_only=True, tag="input_reply"):
    input_id: str
    value: str


class ClearOutputsRequest(ClientMessage, frozen=True, kw_only=True, tag="clear_outputs"):
    cells: list[str]


class Complete(ClientMessage, frozen=True, kw_only=True, tag="complete"):
    id: str
    code: str
    cursor_pos: int


class Inspect(ClientMessage, frozen=True, kw_only=True, tag="inspect"):
    id: str
    code: str
    cursor_pos: int
    detail_level: Literal[0, 1] = 0


class Comm(ClientMessage, frozen=True, kw_only=True, tag="comm"):
    message_type: Literal["comm_open", "comm_msg", "comm_close"]
    content: dict[str, Any]
    metadata: dict[str, Any] = {}


class Pong(ClientMessage, frozen=True, kw_only=True, tag="pong"):
    number: int


Action = RunRequest | Start | Interrupt | Restart | Shutdown | Keep | InputReply | ClearOutputsRequest | Comm
Question = Complete | Inspect
AnyClientMessage = Resume | Action | Question | Pong

_decoder = msgspec.json.Decoder(AnyClientMessage)


class _RequestId(msgspec.Struct):
    request_id: str | None = None


def decode_client_message(frame: str | bytes) -> AnyClientMessage:
    """Raises Malformed, with the reason, when it is none."""
    if isinstance(frame, bytes):
        raise Malformed("Messages of this socket are text.")
    try:
        message: AnyClientMessage = _decoder.decode(frame)
        return message
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Malformed(f"The message is not of the expected form: {str(error)[:200]}") from None


def request_id_in(frame: str | bytes) -> str | None:
    """The `request_id` of a message that is refused, if it can be told."""
    try:
        return msgspec.json.decode(frame, type=_RequestId).request_id
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
