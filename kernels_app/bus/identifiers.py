"""Typed identifiers of what travels on the bus, and the names of its keys. Pure."""

from __future__ import annotations

from typing import NewType

KernelId = NewType("KernelId", str)
DocumentId = NewType("DocumentId", str)
CellId = NewType("CellId", str)
RunId = NewType("RunId", str)
NodeId = NewType("NodeId", str)
Mailbox = NewType("Mailbox", str)
# A Redis stream id, `<milliseconds>-<sequence>`; orders entries within one stream.
StreamId = NewType("StreamId", str)

EVENTS_STREAM = "hub:events"
RUNS_STREAM = "hub:runs"
DOCUMENTS_STREAM = "hub:documents"
RECORDER_GROUP = "recorder"
NODES_KEY = "hub:nodes"
NODE_KERNELS_KEY = "hub:node_kernels"


def command_stream(node_id: NodeId) -> str:
    """Commands of the hub to one node."""
    return f"node:{node_id}:commands"


def relay_topic(node_id: NodeId) -> str:
    """What web processes say to a node about raw kernel channels."""
    return f"node:{node_id}:relay"


def mailbox_topic(mailbox: Mailbox) -> str:
    """What nodes say to a web process about raw kernel channels."""
    return f"mailbox:{mailbox}:relay"


def node_lease(node_id: NodeId) -> str:
    return f"node:{node_id}:lease"


def kernelspec_resource_key(kernelspec_name: str, file_name: str) -> str:
    """A logo of a kernelspec. Every node that has the kernelspec writes it, again and again: it expires."""
    return f"kernelspec:{kernelspec_name}:{file_name}"


def mailbox_stream(mailbox: Mailbox) -> str:
    """Replies of nodes to the questions of one web process."""
    return f"mailbox:{mailbox}"


def run_log(document_id: DocumentId) -> str:
    """The output log of a document: entry ids are `<last seq of the batch>-0`."""
    return f"runlog:{document_id}"


def run_log_trimmed(document_id: DocumentId) -> str:
    """The highest `seq` that was trimmed off the output log: who has less needs a snapshot."""
    return f"runlog:{document_id}:trimmed"


def run_rows_replaced(document_id: DocumentId) -> str:
    """There while outputs were put into the rows lately that no operation tells of: who comes back needs a snapshot."""
    return f"runlog:{document_id}:replaced"


def run_topic(document_id: DocumentId) -> str:
    """Where each batch of the output log is published for live readers."""
    return f"runs:{document_id}"


def update_log(document_id: DocumentId, epoch: str) -> str:
    """The Yjs updates of a document that are not in its snapshot yet."""
    return f"doc:{document_id}:{epoch}"


def update_topic(document_id: DocumentId) -> str:
    """Where updates, awareness and durable acknowledgements are published."""
    return f"docs:{document_id}"


def blob_key(sha256: str) -> str:
    """A large payload on its way from a node to the recorder."""
    return f"blob:{sha256}"


GENERATION_BITS = 32


def make_seq(generation: int, number: int) -> int:
    """Sequence number of an operation: writers of later generations order after earlier ones.

    `number` counts from 1 within a generation. Stays below 2**53 (exact in JavaScript) for the
    first two million generations of a document.
    """
    return (generation << GENERATION_BITS) | number


def split_seq(seq: int) -> tuple[int, int]:
    """`(generation, number)` of a sequence number."""
    return seq >> GENERATION_BITS, seq & ((1 << GENERATION_BITS) - 1)
