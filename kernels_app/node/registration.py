"""A node's lease and its entry in the list of nodes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from kernels_app.bus.envelopes import NodeInfo, NodeKernels
from kernels_app.bus.identifiers import NODE_KERNELS_KEY, NODES_KEY, NodeId, node_lease
from kernels_app.bus.transport import Transport, TransportError

logger = logging.getLogger(__name__)

LEASE_S = 15.0  # three missed renewals
RENEW_S = 5.0
RETRY_S = 0.5


class LeaseHeld(Exception):
    """Another node with this id holds the lease and renews it."""


class LeaseLost(Exception):
    """The hub, or another node with this id, took the lease: this node is not to act any more."""


class Registration:
    """`acquire`, then `keep` until the end, then `release`."""

    def __init__(
        self,
        transport: Transport,
        node_id: NodeId,
        holder: str,
        *,
        info: Callable[[int], NodeInfo],
        kernels: Callable[[int], NodeKernels],
    ) -> None:
        self._transport = transport
        self._node_id = node_id
        self._holder = holder
        self._info = info
        self._kernels = kernels
        self.fence = 0

    async def acquire(self) -> int:
        """The fencing number of this life. Waits while the wire is away, and as long as a lease
        of a killed node takes to run out. Raises LeaseHeld."""
        loop = asyncio.get_running_loop()
        held_until: float | None = None
        is_silent = True
        while True:
            try:
                fence = await self._transport.acquire_lease(
                    node_lease(self._node_id), holder=self._holder, ttl_s=LEASE_S
                )
            except TransportError as error:
                if is_silent:
                    logger.warning("Waiting for the message server: %s", error)
                    is_silent = False
                await asyncio.sleep(RETRY_S)
                continue
            if fence is not None:
                self.fence = fence
                return fence
            if held_until is None:
                held_until = loop.time() + LEASE_S + 2 * RETRY_S
                logger.info(
                    "Another node named %s holds the lease; waiting for it to run out.", self._node_id
                )
            elif loop.time() > held_until:
                raise LeaseHeld(
                    f"A node named {self._node_id} is running already. Give this one another NODE_ID."
                )
            await asyncio.sleep(RETRY_S)

    async def keep(self) -> None:
        """Renews lease and entry until cancelled. Raises LeaseLost.

        While the wire is away the node goes on: nobody can have taken the lease without the wire.
        """
        pause_s = 0.0
        while True:
            await asyncio.sleep(pause_s)
            try:
                is_ours = await self._transport.renew_lease(
                    node_lease(self._node_id), holder=self._holder, fence=self.fence, ttl_s=LEASE_S
                )
                if not is_ours:
                    raise LeaseLost(f"Node {self._node_id} lost its lease (fence {self.fence}).")
                await self.publish()
                pause_s = RENEW_S
            except TransportError:
                pause_s = RETRY_S

    async def publish(self) -> None:
        """Writes the node's entry and the list of its kernels. Raises TransportError."""
        await self._transport.put_field(NODES_KEY, self._node_id, msgspec.json.encode(self._info(self.fence)))
        kernels = msgspec.json.encode(self._kernels(self.fence))
        await self._transport.put_field(NODE_KERNELS_KEY, self._node_id, kernels)

    async def release(self) -> None:
        """Raises TransportError."""
        await self._transport.delete_field(NODES_KEY, self._node_id)
        await self._transport.delete_field(NODE_KERNELS_KEY, self._node_id)
        await self._transport.release_lease(node_lease(self._node_id), holder=self._holder, fence=self.fence)
