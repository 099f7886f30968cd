"""What a kernel said about its last runs, for a node that comes back. Pure."""

from __future__ import annotations

from collections import deque

from .protocol import STDIN

# Runs before the last one of which everything is kept: their node may not have written them yet.
KEPT_RUNS = 8
KEPT_BYTES = 8 * 1024 * 1024
SEEN_RUNS = 10_000


class Kept:
    """What was said about one run, in order."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.mark = run_id.encode()
        self.frames: deque[tuple[bytes, list[bytes]]] = deque()
        self.size_bytes = 0
        self.is_cut = False
        # Sent to the node as it comes; not after the node has gone, until it asks for the run again.
        self.is_live = True

    def add(self, kind: bytes, frames: list[bytes], limit_bytes: int) -> None:
        self.frames.append((kind, frames))
        self.size_bytes += sum(map(len, frames))
        while self.size_bytes > limit_bytes and len(self.frames) > 1:
            _, oldest = self.frames.popleft()
            self.size_bytes -= sum(map(len, oldest))
            self.is_cut = True

    def drop_questions(self) -> None:
        """An input request that was answered is not asked again."""
        self.frames = deque(item for item in self.frames if item[0] != STDIN)


class Memory:
    """What was said about the last runs."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._runs: dict[str, Kept] = {}
        self._seen: dict[str, None] = {}

    def is_known(self, run_id: str) -> bool:
        return run_id in self._seen

    def begin(self, run_id: str) -> None:
        self._seen[run_id] = None
        while len(self._seen) > SEEN_RUNS:
            del self._seen[next(iter(self._seen))]
        while len(self._runs) >= KEPT_RUNS or (
            self._runs and sum(kept.size_bytes for kept in self._runs.values()) > KEPT_BYTES
        ):
            del self._runs[next(iter(self._runs))]
        self._runs[run_id] = Kept(run_id)

    def take(self, kind: bytes, frames: list[bytes]) -> bool:
        """Keeps it when it is about a run; whether it is to be sent on now."""
        parent = frames[3] if len(frames) > 3 else b""
        for kept in reversed(self._runs.values()):
            if kept.mark in parent:
                kept.add(kind, frames, self._limit_bytes)
                return kept.is_live
        return True

    def run(self, run_id: str) -> Kept | None:
        return self._runs.get(run_id)

    def node_has_gone(self) -> None:
        for kept in self._runs.values():
            kept.is_live = False

    def answered(self) -> None:
        for kept in self._runs.values():
            kept.drop_questions()
