"""A Yjs document in memory, for as long as it takes to merge, compare or read it.

No process keeps one: a person more at a notebook costs a subscription, not a copy. Everything here is
plain synchronous work on bytes; callers run it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pycrdt import Doc, TransactionEvent, merge_updates

from notebooks_app.sync.update_check import inspect_update
from notebooks_app.sync.varint import BadEncoding

# Deleting a shared type takes a stack frame a level. A notebook has two; more than this was made to
# break something. A snapshot never holds more (compaction sees to it).
MAX_TYPE_DEPTH = 64
# Levels that may come on top unexamined: still far from what the smallest thread's stack holds.
_MAX_UNCHECKED_DEPTH = 1_000

EMPTY_STATE_VECTOR = b"\x00"


class BadUpdate(Exception):
    """An update cannot be merged into this document."""


@contextmanager
def _panics_as_bad_update() -> Iterator[None]:
    """pycrdt's extension reports its own failures as BaseException: nothing above must meet that."""
    try:
        yield
    except (ValueError, RuntimeError, TypeError) as error:
        raise BadUpdate(str(error)) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise BadUpdate("it cannot be integrated") from error
        raise


def load_replica(snapshot: bytes, updates: Sequence[bytes] = ()) -> Doc[Any]:
    """The document with all updates in it. Raises BadUpdate."""
    if updates and not _is_shallow(snapshot, updates):
        raise BadUpdate("it nests too deeply")
    replica: Doc[Any] = Doc()
    with _panics_as_bad_update(), replica.transaction():
        if snapshot:
            replica.apply_update(snapshot)
        for update in updates:
            replica.apply_update(update)
    return replica


def load_tolerantly(snapshot: bytes, updates: Sequence[bytes]) -> tuple[Doc[Any], list[int]]:
    """The document with all updates in it that can be, and the indexes of those that cannot."""
    try:
        return load_replica(snapshot, updates), []
    except BadUpdate:
        pass
    good: list[bytes] = []
    bad: list[int] = []
    for index, update in enumerate(updates):
        try:
            load_replica(snapshot, [*good, update])
        except BadUpdate:
            bad.append(index)
        else:
            good.append(update)
    return load_replica(snapshot, good), bad


def _is_shallow(snapshot: bytes, updates: Sequence[bytes]) -> bool:
    try:
        depth = MAX_TYPE_DEPTH + sum(inspect_update(update).type_depth for update in updates)
        if depth <= _MAX_UNCHECKED_DEPTH:
            return True
        return exact_type_depth([snapshot, *updates] if snapshot else updates) <= MAX_TYPE_DEPTH
    except BadEncoding as error:
        raise BadUpdate(str(error)) from error


def exact_type_depth(updates: Sequence[bytes]) -> int:
    """How deep shared types nest when all these are one document. Raises BadUpdate."""
    with _panics_as_bad_update():
        # Merging updates without a document is flat work, whatever they hold.
        merged = merge_updates(*updates)
    try:
        return inspect_update(merged).type_depth
    except BadEncoding as error:
        raise BadUpdate(str(error)) from error


def state_vector_of(replica: Doc[Any]) -> bytes:
    return replica.get_state()


def encode_since(replica: Doc[Any], state_vector: bytes = EMPTY_STATE_VECTOR) -> bytes:
    """Everything in the document that `state_vector` lacks. Raises BadUpdate when it is none."""
    with _panics_as_bad_update():
        return replica.get_update(state_vector)


@contextmanager
def record_changes(replica: Doc[Any]) -> Iterator[list[bytes]]:
    """Collects the updates that the edits made within it consist of."""
    changes: list[bytes] = []

    def remember(event: TransactionEvent) -> None:
        changes.append(event.update)

    subscription = replica.observe(remember)
    try:
        yield changes
    finally:
        replica.unobserve(subscription)
