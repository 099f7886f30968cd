"""Who is at a document, as one connection knows it: its own client, and which connection each other is."""

from __future__ import annotations

from notebooks_app.sync.awareness import (
    AwarenessState,
    decode_awareness,
    encode_awareness_states,
    signed,
)

MAX_PEERS = 1_000


class Presence:
    """Binds awareness client ids to connections, so that nobody speaks for another."""

    def __init__(self, sender: bytes) -> None:
        self._sender = sender
        self._own: AwarenessState | None = None
        self.own_update: bytes | None = None
        self.must_tell = False
        # Of each client id that is here: its connection, and the name it was signed with.
        self._peers: dict[int, tuple[bytes, object]] = {}

    def take(self, states: list[AwarenessState], *, username: str, display_name: str) -> None:
        """What our client says of itself. The first id it names is its own for good; others are ignored."""
        for state in states:
            if self._own is None and state.state is None:
                continue
            if self._own is not None and state.client_id != self._own.client_id:
                continue
            self._own = signed(state, username=username, display_name=display_name)
            self.own_update = encode_awareness_states([self._own])
            self.must_tell = True

    def goodbye(self) -> bytes | None:
        """The update that takes our client away; None when it was never there."""
        if self._own is None or self._own.state is None:
            return None
        return encode_awareness_states([AwarenessState(self._own.client_id, self._own.clock, None)])

    def admits(self, sender: bytes, update: bytes) -> bool:
        """Whether our client may hear this of another connection's client. Raises BadEncoding.

        A client id is its connection's until that one says goodbye; the same person may take it over,
        as a browser does that comes back before its old connection was found dead.
        """
        if sender == self._sender:
            return False
        for state in decode_awareness(update):
            if self._own is not None and state.client_id == self._own.client_id:
                return False
            known = self._peers.get(state.client_id)
            if state.state is None:
                if known is not None and known[0] != sender:
                    return False
                self._peers.pop(state.client_id, None)
                continue
            user = state.state.get("user")
            username = user.get("username") if isinstance(user, dict) else None
            if known is not None and known[0] != sender and known[1] != username:
                return False
            if known is None and len(self._peers) >= MAX_PEERS:
                return False
            self._peers[state.client_id] = (sender, username)
        return True
