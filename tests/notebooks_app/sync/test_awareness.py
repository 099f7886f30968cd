"""Presence: in the client's words, signed by the hub, one client id a connection."""

from __future__ import annotations

import json

import pytest
from pycrdt import Awareness, Doc

from notebooks_app.consumers.document_peers import Presence
from notebooks_app.sync.awareness import (
    MAX_AWARENESS_BYTES,
    AwarenessState,
    decode_awareness,
    encode_awareness_states,
)
from notebooks_app.sync.varint import BadEncoding, write_bytes, write_uint

ALICE, BOB = b"alice-01", b"bob---01"


def update_of(client_id: int, clock: int, text: bytes) -> bytes:
    return write_uint(1) + write_uint(client_id) + write_uint(clock) + write_bytes(text)


def speak(
    presence: Presence, client_id: int, state: object, *, username: str, clock: int = 1
) -> bytes | None:
    text = json.dumps(state).encode()
    presence.take(
        decode_awareness(update_of(client_id, clock, text)), username=username, display_name=username
    )
    return presence.own_update


@pytest.mark.parametrize(
    "update",
    [
        b"",
        write_uint(10**6),
        update_of(1, 1, b"[]"),
        update_of(1, 1, b"nonsense"),
        update_of(1, 1, b"[" * 5000),
        update_of(1, 1, b"{}") + b"x",
        update_of(1, 1, b'{"a":"' + b"x" * MAX_AWARENESS_BYTES + b'"}'),
    ],
)
def test_what_is_no_awareness_update_is_refused(update: bytes) -> None:
    with pytest.raises(BadEncoding):
        decode_awareness(update)


def test_a_library_client_reads_what_we_write() -> None:
    awareness = Awareness(Doc())
    awareness.apply_awareness_update(encode_awareness_states([AwarenessState(7, 3, {"a": "é"})]), "remote")
    assert awareness.states[7] == {"a": "é"}


def test_the_signed_in_person_replaces_whoever_the_client_claims_to_be() -> None:
    own = speak(Presence(ALICE), 1, {"user": {"username": "root"}, "cursor": 5}, username="alice")
    assert own is not None
    (state,) = decode_awareness(own)
    assert state.state == {"user": {"username": "alice", "display_name": "alice"}, "cursor": 5}


def test_a_connection_speaks_for_one_client_only() -> None:
    presence = Presence(ALICE)
    own = speak(presence, 1, {}, username="alice")
    assert speak(presence, 2, {}, username="alice") == own


def test_nobody_speaks_for_a_client_of_another_connection() -> None:
    listener = Presence(b"carol-01")
    alice = speak(Presence(ALICE), 1, {}, username="alice")
    forged = speak(Presence(BOB), 1, {"cursor": 9}, username="bob")
    assert alice is not None
    assert forged is not None
    assert listener.admits(ALICE, alice)
    assert not listener.admits(BOB, forged)
    assert not listener.admits(BOB, encode_awareness_states([AwarenessState(1, 2, None)]))
    assert listener.admits(ALICE, encode_awareness_states([AwarenessState(1, 2, None)]))
    assert listener.admits(BOB, forged), "an id is free again after its goodbye"


def test_a_browser_that_comes_back_takes_its_own_client_over() -> None:
    listener = Presence(b"carol-01")
    first, second = Presence(ALICE), Presence(b"alice-02")
    told = speak(first, 1, {}, username="alice")
    again = speak(second, 1, {}, username="alice", clock=2)
    assert told is not None
    assert again is not None
    assert listener.admits(ALICE, told)
    assert listener.admits(b"alice-02", again)
    goodbye = first.goodbye()
    assert goodbye is not None
    assert not listener.admits(ALICE, goodbye), "the old connection's end does not take the new one away"


def test_our_own_client_cannot_be_spoken_for() -> None:
    presence = Presence(ALICE)
    speak(presence, 1, {}, username="alice")
    assert not presence.admits(BOB, update_of(1, 9, b"{}"))
