"""The node's program: `python -m kernels_app.node`. Chooses the implementations."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kernels_app.bus.event_loops import loop_factory
from kernels_app.bus.garbage import settle_memory
from kernels_app.bus.opening import open_transport
from kernels_app.node.config import ConfigError, NodeConfig, read_config
from kernels_app.node.isolation import find_isolation
from kernels_app.node.launching import Launcher
from kernels_app.node.local_launching import local_launching
from kernels_app.node.metrics import NodeState, serve_metrics
from kernels_app.node.provisioners.guardian import Guardian
from kernels_app.node.provisioners.terminal_base import MakeTerminal
from kernels_app.node.registration import LeaseHeld, LeaseLost
from kernels_app.node.supervisor import Supervisor
from kernels_app.node.zeromq.channels import KernelContext

if TYPE_CHECKING:
    from kernels_app.node.container_launching import ContainerLauncher
    from kernels_app.node.provisioners.engine import Engine

logger = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_CONFIG = 64
EXIT_LEASE_HELD = 73
EXIT_LEASE_LOST = 75


def main() -> int:
    """The exit code."""
    try:
        config = read_config(node_environment(os.environ))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    # The shape of the hub's own lines.
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=config.log_level,
        format="timestamp='%(asctime)sZ' level='%(levelname)s' event='%(message)s' logger='%(name)s'",
        datefmt="%Y-%m-%dT%H:%M:%S",
        stream=sys.stderr,
    )
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(run_node(config))
    except (ConfigError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    except LeaseHeld as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_LEASE_HELD
    except LeaseLost:
        return EXIT_LEASE_LOST
    return EXIT_OK


async def run_node(config: NodeConfig) -> None:
    """Until SIGTERM or SIGINT. Raises LeaseHeld, LeaseLost, ConfigError."""
    isolation = await asyncio.to_thread(find_isolation, config)
    transport = open_transport(config.redis_url)
    guardian = Guardian()
    context = KernelContext()
    engine: Engine | None = None
    try:
        launcher: Launcher
        make_terminal: MakeTerminal | None = None
        if config.provisioner == "docker":
            engine, containers = _containers(config)
            launcher, make_terminal = containers, containers.make_terminal
        else:
            launcher, make_terminal = local_launching(config, isolation, guardian, os.environ)
        supervisor = Supervisor(
            config,
            transport=transport,
            launcher=launcher,
            context=context,
            clock_ms=lambda: time.time_ns() // 1_000_000,
            isolation=isolation,
            make_terminal=make_terminal,
        )
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, supervisor.stop)
        stop_metrics = serve_metrics(
            config.metrics_host,
            config.metrics_port,
            NodeState(supervisor.kernel_counts, supervisor.terminal_count),
        )
        try:
            settle_memory()
            await supervisor.run()
        finally:
            stop_metrics()
    except OSError as error:
        raise ConfigError(f"The node cannot use its folders: {error}") from error
    finally:
        if engine is not None:
            engine.close()
        context.close()
        await transport.close()
        guardian.close()


def _containers(config: NodeConfig) -> tuple[Engine, ContainerLauncher]:
    """Raises ConfigError without an engine, OSError."""
    # Only here: a node without containers loads nothing of it.
    from kernels_app.node.container_launching import ContainerLauncher
    from kernels_app.node.provisioners.engine import Engine, EngineError

    try:
        engine = Engine(config.containers, node_id=config.node_id, run_dir=config.run_dir)
        engine.find_mounts()
    except EngineError as error:
        raise ConfigError(f"The container engine does not answer: {error}") from error
    engine.start()
    return engine, ContainerLauncher(
        engine=engine, projects_root=config.projects_root, run_dir=config.run_dir, node_environment=os.environ
    )


def node_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    """This process's, with the name that a node in a container has from its engine."""
    if environment.get("NODE_PROVISIONER") == "docker" and not environment.get("NODE_ID"):
        from kernels_app.node.provisioners.engine import name_of_node

        name = name_of_node()
        if name:
            return {**environment, "NODE_ID": name}
    return environment
