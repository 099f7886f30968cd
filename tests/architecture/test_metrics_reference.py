"""docs/reference/metrics.md has a row for every metric, with its type and labels, and for nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from prometheus_client.core import Metric

import zasper_hub.celery_worker
from kernels_app.node.metrics import NodeState
from kernels_app.relay import mailbox
from kernels_app.selectors.metrics import HubState
from zasper_hub.accounts import metrics
from zasper_hub.accounts.socket_watch import OpenSockets
from zasper_hub.settings.environment import BASE_DIR

PAGE = BASE_DIR / "docs" / "reference" / "metrics.md"
ROW = re.compile(r"^\| `((?:hub|node)_[a-z_]+)` \| (gauge|counter|histogram) \| (.*?) \|", re.MULTILINE)
OURS = ("hub_", "node_")
DECLARING = (metrics, mailbox, zasper_hub.celery_worker)  # what they declare is in the registry


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    text = PAGE.read_text(encoding="utf-8")
    return {
        name: (kind, frozenset(re.findall(r"`([a-z]+)`", labels))) for name, kind, labels in ROW.findall(text)
    }


def described() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Name, type and labels as they are declared: a metric with labels has no sample before its first value."""
    for collector in set(REGISTRY._collector_to_names):
        name = getattr(collector, "_name", "")
        if name.startswith(OURS):
            kind = str(getattr(collector, "_type", ""))
            shown = f"{name}_total" if kind == "counter" else name
            yield shown, kind, frozenset(getattr(collector, "_labelnames", ()))
    looked_up: list[Metric] = [
        *OpenSockets().collect(),
        *HubState().collect(),
        *NodeState(lambda: {"idle": 1}, lambda: 0).collect(),
    ]
    for metric in looked_up:
        labels = frozenset(getattr(metric, "_labelnames", ()))
        yield metric.name, metric.type, labels


@pytest.mark.django_db(transaction=True)
def test_every_metric_has_its_row_with_type_and_labels() -> None:
    assert documented() == {name: (kind, labels) for name, kind, labels in described()}
