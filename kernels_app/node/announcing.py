"""What the hub and the document are told of a kernel's state, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kernels_app.bus.envelopes import KernelEvent, StartKernel
from kernels_app.bus.identifiers import NodeId
from kernels_app.bus.operations import KernelChanged, KernelStateName
from kernels_app.node.lifecycle import READY, State
from kernels_app.node.outbox import Outbox
from kernels_app.node.output_log import OutputLog

# `busy` and `idle` that follow each other faster than this are one; a short cell flips nothing.
SETTLE_S = 0.25
# While a kernel is used, the hub hears of it at least this often.
ACTIVITY_S = 15.0


class Announcements:
    """Of one kernel. `state` gives its state as it is now."""

    def __init__(
        self,
        command: StartKernel,
        *,
        state: Callable[[], State],
        node_id: NodeId,
        log: OutputLog | None,
        outbox: Outbox,
        clock_ms: Callable[[], int],
    ) -> None:
        self._command = command
        self._state = state
        self._node_id = node_id
        self._log = log
        self._outbox = outbox
        self._clock_ms = clock_ms
        self._told: KernelStateName | None = None
        self._told_at_ms = 0
        self._changed_at_ms = 0
        self._settling: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """Tell the hub the state, again if need be."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        now_ms = self._clock_ms()
        state = self._state()
        self._outbox.event(self.event())
        # An activity report repeats the state: the document has it.
        if self._log is not None and self._told != state.name:
            self._log.folding.emit(
                KernelChanged(
                    seq=0,
                    at=now_ms,
                    kernel_id=self._command.kernel_id,
                    kernelspec_name=self._command.kernelspec_name,
                    state=state.name,
                    reason=state.reason,
                ),
                now_ms,
            )
            self._log.changed()
        self._told = state.name
        self._told_at_ms = now_ms

    def tell_when_settled(self) -> None:
        """At once when it starts or ends; turns of busy and idle when they last."""
        if self._state().name not in READY or self._told not in READY:
            self.tell()
            return
        self._changed_at_ms = self._clock_ms()
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._settle)

    def event(self) -> KernelEvent:
        state = self._state()
        return KernelEvent(
            node_id=self._node_id,
            fence=self._command.fence,
            at=self._clock_ms(),
            kernel_id=self._command.kernel_id,
            state=state.name,
            reason=state.reason,
        )

    def _settle(self) -> None:
        self._settling = None
        now_ms = self._clock_ms()
        if now_ms - self._told_at_ms > ACTIVITY_S * 1000:
            self.tell()
        elif self._state().name != self._told:
            lasted_s = (now_ms - self._changed_at_ms) / 1000
            if lasted_s >= SETTLE_S:
                self.tell()
            else:
                self._settling = asyncio.get_running_loop().call_later(SETTLE_S - lasted_s, self._settle)
