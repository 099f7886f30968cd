"""What a program of the hub counts for Prometheus, and the internal port it is read at.

Every metric has its row in docs/reference/metrics.md (compared by a test). Gauges are looked up when somebody reads
them, so that they cost nothing otherwise.
"""

from __future__ import annotations

import structlog
from prometheus_client import REGISTRY, Counter, Histogram, start_http_server
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

REQUEST_SECONDS = Histogram(
    "hub_request_seconds",
    "HTTP requests, until the answer begins.",
    ["area", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUOTA_REFUSALS = Counter("hub_quota_refusals", "What a quota refused.", ["quota"])


def serve_metrics(host: str, port: int | None, *collectors: Collector) -> None:
    """Answers Prometheus on a port of its own, in a thread; nothing without a port.

    A port that is taken is logged: metrics never keep the hub from running.
    """
    if port is None:
        return
    for collector in collectors:
        REGISTRY.register(collector)
    try:
        start_http_server(port, host)
    except OSError as error:
        log.error("metrics_not_served", port=port, reason=error.strerror)
