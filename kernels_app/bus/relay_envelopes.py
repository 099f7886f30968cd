"""What web processes and nodes say to each other about raw kernel channels, as versioned msgspec structs. Pure.

A client of a kernel is known by its `client` key, which outlives its connection. Each kernel's node numbers what the
kernel sends (`seq`, from 1, without gaps) and keeps it until every client has it, so "where a client is" is one number.
Messages are in the form of `bus.channel_messages`.

Hub to node: `RelayCommand`, all that a web process has to say to that node at that moment. Node to hub: `RelayMail`,
all that goes on in the kernels of a web process at that moment. Both are cast on topics, which may lose them, and are
numbered by mailbox, each direction from 1: commands are said again until the node has them; mail is not, because what
it brings is in the logs of the kernels until clients have it. What is larger than `PART_BYTES` goes in parts.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kernels_app.bus.identifiers import KernelId, Mailbox, NodeId

VERSION = 1


class Join(msgspec.Struct, frozen=True, array_like=True, tag="j"):
    """A client came (back) to a kernel, at this mailbox. One that is known goes on from where it was.

    `seq`: the client has everything up to it; -1 when this web process does not know. `given`: its connection, which
    lasts, was given everything up to it, though it may not have it all yet; -1 with a new connection. `ticket`: names
    this joining, among those of the web process.
    """

    kernel_id: KernelId
    client: str
    seq: int = -1
    given: int = -1
    ticket: int = 0


class Leave(msgspec.Struct, frozen=True, array_like=True, tag="l"):
    """A client's connection ended; it had everything up to `seq`. `is_over`: it will not come back."""

    kernel_id: KernelId
    client: str
    seq: int
    is_over: bool


class Say(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """A client's message for the kernel."""

    kernel_id: KernelId
    client: str
    message: bytes


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """A client that is behind wants what comes after `seq`."""

    kernel_id: KernelId
    client: str
    seq: int


class Delivered(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """A client has everything up to `seq`."""

    kernel_id: KernelId
    client: str
    seq: int


RelayItem = Join | Leave | Say | Fetch | Delivered


class RelayCommand(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="relay"):
    """`number`: of this command, or of its last part. `heard`: the node has confirmed everything up to it.

    `read`: number of the last mail of this node that was read. `is_anew`: what the node cast until now and is not read
    was lost; the items say from where to go on.
    """

    fence: int
    mailbox: Mailbox
    number: int
    heard: int
    read: int
    items: list[RelayItem]
    is_anew: bool = False
    version: int = VERSION


class CommandPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="relay_part"):
    """A piece of an encoded `RelayCommand`. `index` counts its pieces from 0; the fields as there."""

    fence: int
    mailbox: Mailbox
    number: int
    heard: int
    index: int
    is_last: bool
    piece: bytes


class Joined(msgspec.Struct, frozen=True, array_like=True, tag="j"):
    """The client goes on after `seq`; this mailbox was given everything up to `live_seq`.

    `lost_count` messages that the client should have got before are gone. `ticket`: of the `Join` that it answers.
    """

    kernel_id: KernelId
    client: str
    seq: int
    live_seq: int
    lost_count: int = 0
    ticket: int = 0


class Messages(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """What a kernel sent after `after_seq` up to `last_seq`; `seqs`, `clients` and `messages` have the same length.

    `clients` names whom a message is for, "" for all. With `client` it is the answer to that client's `Fetch`, and
    `lost_count` messages that it should have got are gone.
    """

    kernel_id: KernelId
    after_seq: int
    last_seq: int
    seqs: list[int]
    clients: list[str]
    messages: list[bytes]
    client: str = ""
    lost_count: int = 0


class Gone(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """The kernel has ended (or was never there) and all that it sent went before."""

    kernel_id: KernelId
    reason: str


class Forgotten(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """The node does not know this mailbox (any more): its clients must join again."""


MailItem = Joined | Messages | Gone | Forgotten


class RelayMail(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="relay_mail"):
    """`number`: of this mail, or of its last part. `heard`: the node has every command of the mailbox up to it;
    `is_missing`: and has seen a later one, so that the rest is to be said again. `sent_at`: seconds since 1970.
    """

    node_id: NodeId
    fence: int
    number: int
    heard: int
    items: list[MailItem]
    is_missing: bool = False
    sent_at: float = 0.0
    version: int = VERSION


class MailPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="relay_mail_part"):
    """A piece of an encoded `RelayMail`. `index` counts its pieces from 0."""

    node_id: NodeId
    fence: int
    number: int
    index: int
    is_last: bool
    piece: bytes


# What is larger is cast in parts: a message server may close connections that it owes too much.
PART_BYTES = 1024 * 1024


def pieces_of(payload: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """`(index, is_last, piece)` of something encoded."""
    starts = range(0, len(payload), PART_BYTES)
    for index, start in enumerate(starts):
        yield index, index == len(starts) - 1, payload[start : start + PART_BYTES]


class PieceJoiner:
    """Pieces, in order, to what they were."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, index: int, piece: bytes, *, is_last: bool) -> bytes | None:
        """The whole with its last piece; None before, and when a piece is missing."""
        if index == 0:
            self._pieces = []
        if index != len(self._pieces):
            return None
        self._pieces.append(piece)
        if not is_last:
            return None
        whole, self._pieces = b"".join(self._pieces), []
        return whole


_encoder = msgspec.msgpack.Encoder()
_command_decoder = msgspec.msgpack.Decoder(RelayCommand | CommandPart)
_mail_decoder = msgspec.msgpack.Decoder(RelayMail | MailPart)


def encode_relay(message: RelayCommand | CommandPart | RelayMail | MailPart) -> bytes:
    return _encoder.encode(message)


def decode_relay_command(payload: bytes) -> RelayCommand | CommandPart:
    """Raises msgspec.MsgspecError when it is none."""
    command: RelayCommand | CommandPart = _command_decoder.decode(payload)
    return command


def decode_relay_mail(payload: bytes) -> RelayMail | MailPart:
    """Raises msgspec.MsgspecError when it is none."""
    mail: RelayMail | MailPart = _mail_decoder.decode(payload)
    return mail


def connections_key() -> str:
    """Where nodes tell how many clients are at each kernel: a field a kernel, a decimal number."""
    return "hub:kernel-connections"
