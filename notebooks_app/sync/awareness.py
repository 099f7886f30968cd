"""Awareness updates (y-protocols/awareness.js) as read from a client and rewritten. Pure.

What other people see of a client is its cursor, in its own words, and its person, in the hub's: the
state's `user` is always the signed-in one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from notebooks_app.sync.varint import BadEncoding, Reader, write_bytes, write_uint

MAX_AWARENESS_BYTES = 8 * 1024
_MAX_CLIENTS = 64


class AwarenessState(msgspec.Struct, frozen=True):
    """What one client says of itself. `state` None: it is gone."""

    client_id: int
    clock: int
    state: dict[str, Any] | None


def decode_awareness(update: bytes) -> list[AwarenessState]:
    """Raises BadEncoding when it is no awareness update or one out of all proportion."""
    if len(update) > MAX_AWARENESS_BYTES:
        raise BadEncoding("an awareness update is too large")
    reader = Reader(update)
    states = []
    for _ in range(reader.uint(_MAX_CLIENTS)):
        client_id, clock = reader.uint(), reader.uint(2**32 - 1)
        try:
            state = msgspec.json.decode(reader.sized_bytes(), type=dict[str, Any] | None)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise BadEncoding("an awareness state is not a JSON object") from None
        states.append(AwarenessState(client_id, clock, state))
    if not reader.is_at_end:
        raise BadEncoding("an awareness update has bytes left over")
    return states


def encode_awareness_states(states: list[AwarenessState]) -> bytes:
    out = [write_uint(len(states))]
    for state in states:
        out += [
            write_uint(state.client_id),
            write_uint(state.clock),
            write_bytes(msgspec.json.encode(state.state)),
        ]
    return b"".join(out)


def signed(state: AwarenessState, *, username: str, display_name: str) -> AwarenessState:
    """The same state with the signed-in person in it, whatever the client wrote there."""
    if state.state is None:
        return state
    person = {"username": username, "display_name": display_name}
    return AwarenessState(state.client_id, state.clock, {**state.state, "user": person})
