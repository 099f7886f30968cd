"""What the hub as a whole has at the moment, for Prometheus: read by one program only, the recorder."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import structlog
from django.db import DatabaseError, connections
from django.db.models import Count
from prometheus_client import Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kernels_app.bus.identifiers import DOCUMENTS_STREAM, EVENTS_STREAM, RUNS_STREAM, command_stream
from kernels_app.bus.transport import TransportError
from kernels_app.errors import Unavailable
from kernels_app.models import DEMO_FENCE, LIVE_STATES, Kernel, Run, RunState
from kernels_app.selectors.nodes import nodes_up
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

KERNEL_START_SECONDS = Histogram(
    "hub_kernel_start_seconds",
    "From the request for a kernel to its first answer, time in the queue included.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300),
)


def observe_start(kernel_id: UUID) -> None:
    """Called once a kernel, when it has answered for the first time."""
    for created_at, ready_at in Kernel.objects.filter(pk=kernel_id).values_list("created_at", "ready_at"):
        if ready_at is not None:
            KERNEL_START_SECONDS.observe(max((ready_at - created_at).total_seconds(), 0))


class HubState(Collector):
    """Kernels, runs, nodes and streams of the whole hub. What cannot be read just now is left out."""

    def collect(self) -> Iterator[Metric]:
        # In a thread of the metrics server: a connection to the database is opened and closed here.
        try:
            yield from self._rows()
        except DatabaseError as error:
            log.warning("metrics_without_database", error_type=type(error).__name__)
        finally:
            connections.close_all()
        try:
            yield from self._wire()
        except (TransportError, Unavailable) as error:
            log.warning("metrics_without_wire", error_type=type(error).__name__)

    def _rows(self) -> Iterator[Metric]:
        kernels = GaugeMetricFamily("hub_kernels", "Kernels that have not ended, by state.", labels=["state"])
        found = dict(
            Kernel.objects.filter(state__in=LIVE_STATES)
            .exclude(fence=DEMO_FENCE)
            .values_list("state")
            .annotate(Count("pk"))
            .order_by()
        )
        for state in LIVE_STATES:
            kernels.add_metric([state], found.get(state, 0))
        runs = GaugeMetricFamily("hub_runs", "Cells that are queued or running.", labels=["state"])
        unfinished = (RunState.QUEUED, RunState.RUNNING)
        counts = dict(
            Run.objects.filter(state__in=unfinished).values_list("state").annotate(Count("pk")).order_by()
        )
        for name in unfinished:
            runs.add_metric([name], counts.get(name, 0))
        yield from (kernels, runs)

    def _wire(self) -> Iterator[Metric]:
        nodes = nodes_up()
        yield GaugeMetricFamily("hub_nodes_up", "Nodes that hold their lease.", len(nodes))
        streams = {"events": EVENTS_STREAM, "runs": RUNS_STREAM, "documents": DOCUMENTS_STREAM}
        streams |= {f"commands of {node.node_id}": command_stream(node.node_id) for node in nodes}
        lengths = GaugeMetricFamily(
            "hub_stream_entries", "Entries of a stream that nobody has handled yet.", labels=["stream"]
        )
        transport = blocking_transport()
        for name, key in streams.items():
            lengths.add_metric([name], transport.log_length(key))
        yield lengths
