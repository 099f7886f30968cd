"""What web processes and nodes say to each other about raw kernel channels, as versioned msgspec structs. Pure.

A client of a kernel is known by its `client` key, which outlives its connection. Each kernel's node numbers what the
kernel sends (`seq`, from 1, without gaps) and keeps it until every client has it, so "where a client is" is one number.
Messages are in the form of `bus.channel_messages`.

Hub to node: `RelayCommand` in the node's command stream, all that a web process has to say to that node at that
moment. Node to hub: `RelayMail` in the mailbox of the web process, all that goes on in its kernels at that moment.
"""

from __future__ import annotations

import msgspec

from kernels_app.bus.identifiers import KernelId, Mailbox, NodeId

VERSION = 1


class Join(msgspec.Struct, frozen=True, array_like=True, tag="j"):
    """A client came (back) to a kernel, at this mailbox. One that is known goes on from where it was.

    `seq`: the client has everything up to it; -1 when this web process does not know.
    """

    kernel_id: KernelId
    client: str
    seq: int = -1


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
    """`number` counts the commands of this mailbox to this node from 1: a repeat is known by it.

    `read_bytes`: how much mail of this node the web process has read so far, in all.
    """

    fence: int
    mailbox: Mailbox
    number: int
    read_bytes: int
    items: list[RelayItem]
    version: int = VERSION


class Joined(msgspec.Struct, frozen=True, array_like=True, tag="j"):
    """The client has everything up to `seq`, this mailbox everything up to `live_seq`.

    `lost_count` messages that the client should have got before are gone.
    """

    kernel_id: KernelId
    client: str
    seq: int
    live_seq: int
    lost_count: int = 0


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
    node_id: NodeId
    fence: int
    items: list[MailItem]
    version: int = VERSION


def connections_key() -> str:
    """Where nodes tell how many clients are at each kernel: a field a kernel, a decimal number."""
    return "hub:kernel-connections"
