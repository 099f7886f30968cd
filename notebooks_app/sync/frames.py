"""The frames of the document socket, as bytes and as structs. Pure.

The table of kinds is a contract with the browser: docs/reference/documents.md.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from kernels_app.bus.identifiers import StreamId
from notebooks_app.sync.varint import BadEncoding


class Kind(IntEnum):
    """First byte of each frame."""

    HELLO = 0
    SYNC_REQUEST = 1
    SYNC = 2
    UPDATE = 3
    ACK = 4
    DURABLE = 5
    AWARENESS = 6
    REFUSED = 7
    ECHO = 8


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First frame on every connection, and again when the client must send a sync request anew."""

    epoch: str
    role: str
    client_prefix: str  # names the connection; in logs of both sides
    stream_id: StreamId  # everything up to it is in the database
    max_update_bytes: int


class SyncRequest(msgspec.Struct, frozen=True):
    state_vector: bytes


class ClientUpdate(msgspec.Struct, frozen=True):
    """`number` is the client's own and rises; the acknowledgement names it."""

    number: int
    update: bytes


class AwarenessFrame(msgspec.Struct, frozen=True):
    update: bytes


class Echo(msgspec.Struct, frozen=True):
    """The client has read everything that was sent before the server's echo frame `number`."""

    number: int


ClientFrame = SyncRequest | ClientUpdate | AwarenessFrame | Echo


def decode_client_frame(frame: bytes) -> ClientFrame:
    """Raises BadEncoding for anything a client may not send."""
    if not frame:
        raise BadEncoding("the frame is empty")
    payload = frame[1:]
    match frame[0]:
        case Kind.SYNC_REQUEST:
            return SyncRequest(payload)
        case Kind.UPDATE:
            if len(payload) < 4:
                raise BadEncoding("an update frame starts with its number")
            return ClientUpdate(int.from_bytes(payload[:4], "big"), payload[4:])
        case Kind.AWARENESS:
            return AwarenessFrame(payload)
        case Kind.ECHO:
            if len(payload) != 4:
                raise BadEncoding("an echo frame is a number of four bytes")
            return Echo(int.from_bytes(payload, "big"))
        case kind:
            raise BadEncoding(f"a client does not send frames of kind {kind}")


def encode_hello(hello: Hello) -> bytes:
    return bytes([Kind.HELLO]) + msgspec.json.encode(hello)


def encode_sync(*, state_vector: bytes, update: bytes) -> bytes:
    return bytes([Kind.SYNC]) + len(state_vector).to_bytes(4, "big") + state_vector + update


def encode_update(update: bytes) -> bytes:
    return bytes([Kind.UPDATE]) + update


def encode_ack(number: int, stream_id: StreamId) -> bytes:
    return bytes([Kind.ACK]) + number.to_bytes(4, "big") + stream_id.encode("ascii")


def encode_durable(stream_id: StreamId) -> bytes:
    return bytes([Kind.DURABLE]) + stream_id.encode("ascii")


def encode_awareness(update: bytes) -> bytes:
    return bytes([Kind.AWARENESS]) + update


def encode_echo(number: int) -> bytes:
    return bytes([Kind.ECHO]) + number.to_bytes(4, "big")


def encode_refused(number: int, *, code: str, message: str, details: dict[str, Any] | None = None) -> bytes:
    """`number` is that of the refused update; 0 when it was another frame."""
    error = {"code": code, "message": message, "details": details or {}}
    return bytes([Kind.REFUSED]) + number.to_bytes(4, "big") + msgspec.json.encode(error)


# On the wire: a message of the update log or the topic is the sending connection's id, eight bytes,
# and then a frame as clients get it. So what one web process received goes out to every browser as
# the same bytes.

SENDER_BYTES = 8
SERVER_SENDER = bytes(SENDER_BYTES)

# Kinds that only web processes exchange, never a browser.
ASK_AWARENESS = 0xF0  # someone came: tell who is here
CLOSE = 0xF1  # every connection closes; the payload is the close code, ASCII


class TopicMessage(msgspec.Struct, frozen=True):
    sender: bytes
    kind: int
    frame: bytes


def encode_topic_message(sender: bytes, frame: bytes) -> bytes:
    return sender + frame


def decode_topic_message(message: bytes) -> TopicMessage:
    """Raises BadEncoding when it is none."""
    if len(message) <= SENDER_BYTES:
        raise BadEncoding("a message is too short")
    return TopicMessage(message[:SENDER_BYTES], message[SENDER_BYTES], message[SENDER_BYTES:])


def logged_update(message: bytes) -> bytes:
    """The Yjs update in an entry of the update log. Raises BadEncoding."""
    decoded = decode_topic_message(message)
    if decoded.kind != Kind.UPDATE:
        raise BadEncoding("the update log holds updates only")
    return decoded.frame[1:]
