"""Puts the logos of a node's kernelspecs on the wire, where web processes find them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from kernels_app.bus.envelopes import KernelSpecInfo
from kernels_app.bus.identifiers import kernelspec_resource_key
from kernels_app.bus.transport import Transport, TransportError
from kernels_app.node.kernelspecs import Kernelspecs, UnknownKernelspec

logger = logging.getLogger(__name__)

LOGO_TTL_S = 600.0  # several times the pause between two writes


async def publish_logos(
    transport: Transport, kernelspecs: Kernelspecs, infos: Sequence[KernelSpecInfo]
) -> None:
    """Writes every logo. Never raises for the wire's sake: the next time is soon."""
    for info in infos:
        for file_name in info.resources:
            try:
                data = await asyncio.to_thread(kernelspecs.logo, info.name, file_name)
                if data is not None:
                    key = kernelspec_resource_key(info.name, file_name)
                    await transport.put_value(key, data, ttl_s=LOGO_TTL_S)
            except UnknownKernelspec:
                break
            except TransportError:
                logger.debug("The logos of kernels are not on the wire yet.")
                return
