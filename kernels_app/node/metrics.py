"""What a node counts for Prometheus, and the internal port it is read at. See docs/reference/metrics.md."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import REGISTRY, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

LAUNCH_SECONDS = Histogram(
    "node_kernel_launch_seconds",
    "From the command to start a kernel to its first answer.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60),
)


class NodeState(Collector):
    """The kernels and terminals of this node. Called in another thread: both functions only read."""

    def __init__(self, kernels: Callable[[], Mapping[str, int]], terminals: Callable[[], int]) -> None:
        self._kernels = kernels
        self._terminals = terminals

    def collect(self) -> Iterator[Metric]:
        kernels = GaugeMetricFamily("node_kernels", "Kernels of this node, by state.", labels=["state"])
        for state, count in sorted(self._kernels().items()):
            kernels.add_metric([state], count)
        yield kernels
        yield GaugeMetricFamily("node_terminals", "Terminals of this node.", self._terminals())


def serve_metrics(host: str, port: int | None, collector: Collector) -> Callable[[], None]:
    """Answers Prometheus on a port of its own, in a thread; nothing without a port. What ends it again.

    A port that is taken is logged: metrics never keep a node from running.
    """
    if port is None:
        return lambda: None
    try:
        server, _ = start_http_server(port, host)
    except OSError as error:
        logger.error("Metrics are not served on port %d: %s", port, error.strerror)
        return lambda: None
    REGISTRY.register(collector)

    def stop() -> None:
        REGISTRY.unregister(collector)
        server.shutdown()
        server.server_close()

    return stop
