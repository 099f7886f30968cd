"""What an administrator should know of the hub's state, as sentences that say what to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kernels_app.runs.lives import duration

LONG_WAIT_S = 60


@dataclass(frozen=True, slots=True)
class HubWarning:
    """`subject`: kind and id of what it is about."""

    code: str
    level: Literal["warning", "error"]
    message: str
    subject: tuple[str, str] | None = None


def warnings_of(
    nodes: Sequence[dict[str, Any]],
    *,
    answers: bool,
    queue_length: int,
    oldest_wait_s: float | None,
) -> list[HubWarning]:
    """Errors first. `nodes` as the admin API shows them; `answers`: the message server does."""
    found: list[HubWarning] = []
    if not answers:
        found.append(
            HubWarning(
                "message_server",
                "error",
                "The hub's message server (Valkey) does not answer: nothing can be run until it does.",
            )
        )
    up = [node for node in nodes if node["state"] == "up"]
    if answers and not up:
        found.append(
            HubWarning("no_node", "error", "No node takes kernels: start one, or end the draining of one.")
        )
    for node in nodes:
        subject = ("node", str(node["id"]))
        if node["state"] == "lost":
            message = (
                f"Node {node['id']} does not answer. Start it again, or remove it if it is gone for good."
            )
            found.append(HubWarning("node_lost", "error", message, subject))
            continue
        if node["state"] == "draining":
            message = f"Node {node['id']} takes no new kernels: it is being drained."
            found.append(HubWarning("node_draining", "warning", message, subject))
        if (node["isolation"] or node["provisioner"]) == "process":
            message = (
                f"Kernels on node {node['id']} run without isolation: people can reach each other's files and "
                "programs there. Use the sandbox or containers (docs/reference/settings.md)."
            )
            found.append(HubWarning("no_isolation", "warning", message, subject))
        found += [
            HubWarning("node", "warning", f"Node {node['id']}: {text}", subject) for text in node["warnings"]
        ]
    wait_s = int(oldest_wait_s or 0)
    if queue_length and wait_s >= LONG_WAIT_S:
        waiting = "1 kernel waits" if queue_length == 1 else f"{queue_length} kernels wait"
        message = (
            f"{waiting} for room, the first for {duration(wait_s - wait_s % 60)}: "
            "stop idle ones, or add a node."
        )
        found.append(HubWarning("queue", "warning", message))
    return sorted(found, key=lambda warning: warning.level != "error")
