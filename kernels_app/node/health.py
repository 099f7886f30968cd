"""`python -m kernels_app.node.health`: exit code 0 while the node of this container holds its lease."""

from __future__ import annotations

import os
import sys

from kernels_app.bus.identifiers import NodeId, node_lease
from kernels_app.bus.opening import open_blocking_transport
from kernels_app.bus.transport import TransportError
from kernels_app.node.config import ConfigError, read_config
from kernels_app.node.main import node_environment


def main() -> int:
    try:
        config = read_config(node_environment(os.environ))
        transport = open_blocking_transport(config.redis_url)
        try:
            is_up = transport.read_lease(node_lease(NodeId(config.node_id))) is not None
        finally:
            transport.close()
    except (ConfigError, TransportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not is_up:
        sys.stderr.write("The node does not hold its lease.\n")
    return 0 if is_up else 1


if __name__ == "__main__":
    sys.exit(main())
