"""A Yjs document in memory, for as long as it takes to merge, compare or read it.

No process keeps one: a person more at a notebook costs a subscription, not a copy. Everything here is
plain synchronous work on bytes; callers run it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pycrdt import Doc, TransactionEvent, merge_updates

from notebooks_app.sync.update_check import UpdateContent, inspect_update, types_deeper_than
from notebooks_app.sync.varint import BadEncoding, Reader

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
    if too_deep_in(snapshot, updates):
        raise BadUpdate("it nests too deeply")
    return _load(snapshot, updates)


def load_tolerantly(snapshot: bytes, updates: Sequence[bytes]) -> tuple[Doc[Any], list[int]]:
    """The document with all updates in it that can be, and the indexes of those that cannot."""
    bad = set(too_deep_in(snapshot, updates))
    good = [update for index, update in enumerate(updates) if index not in bad]
    try:
        return _load(snapshot, good), sorted(bad)
    except BadUpdate:
        pass
    good = []
    replica = _load(snapshot, good)
    for index, update in enumerate(updates):
        if index in bad:
            continue
        try:
            with _panics_as_bad_update():
                replica.apply_update(update)
        except BadUpdate:
            # It may have left half of itself behind.
            replica = _load(snapshot, good)
            bad.add(index)
        else:
            good.append(update)
    return replica, sorted(bad)


def _load(snapshot: bytes, updates: Sequence[bytes]) -> Doc[Any]:
    replica: Doc[Any] = Doc()
    with _panics_as_bad_update(), replica.transaction():
        if snapshot:
            replica.apply_update(snapshot)
        for update in updates:
            replica.apply_update(update)
    return replica


def too_deep_in(snapshot: bytes, updates: Sequence[bytes], *, exactly: bool = False) -> list[int]:
    """Indexes of the updates that would nest shared types deeper than MAX_TYPE_DEPTH.

    Looks closely only when the sum of all depths could do harm, unless `exactly`: then the answer is
    right to the level.
    """
    contents = [_inspect(update) for update in updates]
    depth = sum(content.type_depth for content in contents if content is not None)
    if depth == 0 or (not exactly and MAX_TYPE_DEPTH + depth <= _MAX_UNCHECKED_DEPTH):
        return []
    readable = [update for update, content in zip(updates, contents, strict=True) if content is not None]
    with _panics_as_bad_update():
        # Merging updates without a document is flat work, whatever they hold.
        merged = merge_updates(*([snapshot] if snapshot else []), *readable)
    deep = types_deeper_than(merged, MAX_TYPE_DEPTH)
    return [
        index
        for index, content in enumerate(contents)
        if content is not None and any(span.holds(item) for span in content.spans for item in deep)
    ]


def _inspect(update: bytes) -> UpdateContent | None:
    """None for what is no update: merging it will fail, and that is told then."""
    try:
        return inspect_update(update)
    except BadEncoding:
        return None


def is_complete(replica: Doc[Any], update: bytes) -> bool:
    """Whether everything in an update that was merged is in effect: nothing it builds on is missing."""
    content = inspect_update(update)
    reached = state_of(replica)
    return all(span.end <= reached.get(span.client, 0) for span in (*content.spans, *content.deleted))


def state_of(replica: Doc[Any]) -> dict[int, int]:
    """The state vector: of each client, how many clocks are in the document."""
    reader = Reader(replica.get_state())
    return {reader.uint(): reader.uint() for _ in range(reader.uint())}


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
