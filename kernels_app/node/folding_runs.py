"""What folding knows of the last run of a cell, and its limits. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from kernels_app.bus.identifiers import CellId, RunId
from kernels_app.node.folding_stream import StreamFold, StreamLimits, WholeTextBudget

# However much text a run has printed before, a new stream output may show this much at either end.
_SMALLEST_PART_UNITS = 4_096


class FoldingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of what a run may show; units are UTF-16 code units, what the browser counts."""

    inline_payload_bytes: int = 32 * 1024
    max_payload_bytes: int = 50 * 1024 * 1024
    stream_head_units: int = 256 * 1024  # of a run, all its stream outputs together
    stream_tail_units: int = 256 * 1024
    whole_text_bytes: int = 50 * 1024 * 1024
    chunk_bytes: int = 1024 * 1024
    chunk_interval_ms: int = 60_000  # a node that dies loses at most this much of a long text's middle
    max_outputs: int = 1_000
    extra_outputs: int = 10  # errors and results shown even past `max_outputs`
    traceback_chars: int = 128 * 1024
    coalesce_ms: int = 50
    tail_coalesce_ms: int = 200
    tail_units_per_s: int = 128 * 1024  # a text that never ends is sent no faster than this


class OutputSpace(enum.Enum):
    FREE = enum.auto()
    NONE = enum.auto()


class CellRun:
    """Outputs of the last run of one cell, as far as folding has to remember them."""

    def __init__(self, cell_id: CellId, run_id: RunId, limits: FoldingLimits) -> None:
        self.cell_id = cell_id
        self.run_id = run_id
        self.stream: StreamFold | None = None  # the last output, when it is a stream
        self.overflow: dict[str, StreamFold] = {}  # past the limit of outputs: one a stream name
        self.output_count = 0
        self.is_full = False
        self.clears_next = False
        self.due_ms: int | None = None  # when its streams want to be sent
        self.pause_ms = 0
        self.prompts: dict[str, tuple[str, bool]] = {}
        self._limits = limits
        self._extra_left = limits.extra_outputs
        self._budget = WholeTextBudget(limits.whole_text_bytes)
        self._head_units = 0
        self._tail_units = 0

    def streams(self) -> Iterator[StreamFold]:
        """Those that can still grow."""
        if self.stream is not None and self.stream not in self.overflow.values():
            yield self.stream
        yield from list(self.overflow.values())

    def take_index(self) -> int:
        """Index of a new output."""
        self.output_count += 1
        return self.output_count - 1

    def take_extra(self) -> bool:
        """Whether one of the few outputs past the limit may still be used."""
        self._extra_left -= 1
        return self._extra_left >= 0

    def close_stream(self) -> None:
        """Another output follows the stream."""
        if self.stream is not None:
            self._head_units += self.stream.head.units
            self._tail_units += self.stream.tail.units
            self.stream = None

    def new_stream(self, name: str) -> StreamFold:
        """A stream output within what is left of the run's text."""
        head_units = max(_SMALLEST_PART_UNITS, self._limits.stream_head_units - self._head_units)
        tail_units = max(_SMALLEST_PART_UNITS, self._limits.stream_tail_units - self._tail_units)
        if self.is_full:
            # Two streams, to the end of the run: half of the tail each, whatever went before.
            tail_units = max(tail_units, self._limits.stream_tail_units // 2)
        limits = StreamLimits(
            head_units=head_units,
            tail_units=tail_units,
            chunk_bytes=self._limits.chunk_bytes,
            chunk_interval_ms=self._limits.chunk_interval_ms,
        )
        return StreamFold(name, limits, self._budget)

    def close_streams(self) -> None:
        """Forget the text of the streams; later text begins a new output."""
        self.stream = None
        self.overflow.clear()

    def reset(self) -> None:
        """The cell's outputs were cleared: the limits count from the beginning."""
        self.close_streams()
        self.output_count = self._head_units = self._tail_units = self.pause_ms = 0
        self.is_full = self.clears_next = False
        self.due_ms = None
        self._extra_left = self._limits.extra_outputs
        self._budget = WholeTextBudget(self._limits.whole_text_bytes)
