"""Nodes, kernels and runs as the hub knows them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from notebooks_app.models import Document, Project
from zasper_hub.accounts.models import Team


class Node(models.Model):
    """A host that runs kernels. `fence` names its current life: a command with another is refused."""

    node_id = models.CharField(max_length=64, primary_key=True)
    fence = models.BigIntegerField(default=0)
    state = models.CharField(max_length=10, default="up", help_text="`up`, `draining` or `lost`")
    info = models.JSONField(default=dict, help_text="Kernelspecs, memory, slots, labels as registered.")
    registered_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    drain_at = models.DateTimeField(
        null=True, blank=True, help_text="While `draining`: when the kernels that are still there end."
    )


class TeamPlacement(models.Model):
    """On which nodes a team's kernels may run: those that have all these labels (`NODE_LABELS`)."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="placement")
    node_labels = models.JSONField(
        default=dict, help_text='Name and value of each label, such as {"gpu": "yes"}.'
    )


class KernelState(models.TextChoices):
    PENDING = "pending"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    # Ended, each with a reason:
    STOPPED = "stopped"
    CULLED = "culled"
    KILLED = "killed"
    DIED = "died"
    FAILED = "failed"
    LOST = "lost"


LIVE_STATES = (
    KernelState.PENDING,
    KernelState.STARTING,
    KernelState.IDLE,
    KernelState.BUSY,
    KernelState.RESTARTING,
    KernelState.STOPPING,
)


# `Kernel.fence` of rows that are only looked at (`manage.py generate_demo`). Nodes count from 1.
DEMO_FENCE = -1


class Kernel(models.Model):
    """One kernel, from the request to its end. `pending` without a node: it waits for a place."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="kernels")
    document = models.ForeignKey(
        Document, null=True, blank=True, on_delete=models.SET_NULL, related_name="kernels"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="kernels"
    )
    kernelspec_name = models.CharField(max_length=100)
    node = models.ForeignKey(Node, null=True, on_delete=models.SET_NULL, related_name="kernels")
    fence = models.BigIntegerField(default=0)
    folder = models.CharField(
        max_length=1000, blank=True, help_text="Where it starts, in the project; without a document."
    )
    environment = models.JSONField(default=dict, blank=True, help_text="Variables it was asked to have.")
    session_file = models.CharField(
        max_length=1600, blank=True, help_text="For `JPY_SESSION_NAME`, in the project; without a document."
    )
    # What it may use, and what it so reserves of its person's quotas; empty: as much as there is.
    memory_limit_bytes = models.BigIntegerField(null=True, blank=True)
    cpu_limit_cores = models.FloatField(null=True, blank=True)
    process_limit = models.PositiveIntegerField(null=True, blank=True)
    # What it uses, as its node measured it a few seconds ago.
    memory_bytes = models.BigIntegerField(null=True, blank=True)
    cpu_cores = models.FloatField(null=True, blank=True)
    log_generation = models.PositiveIntegerField(
        default=0, help_text="Generation in which this kernel writes its document's output log."
    )
    state = models.CharField(
        max_length=12, choices=KernelState.choices, default=KernelState.PENDING, db_index=True
    )
    reason = models.CharField(max_length=500, blank=True, help_text="Why it ended, for a person.")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    last_activity_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # What was announced: it ends then, unless somebody uses it before. While `stopping`: why.
    ends_at = models.DateTimeField(null=True, blank=True)
    end_cause = models.CharField(max_length=10, blank=True, help_text="`idle`, `life` or `drain`.")

    class Meta:
        constraints: ClassVar = [
            # A document has one kernel at a time; the database settles who starts it.
            models.UniqueConstraint(
                fields=["document"],
                condition=models.Q(state__in=LIVE_STATES),
                name="one_live_kernel_a_document",
            )
        ]


class KernelSession(models.Model):
    """A Jupyter client's name for "this file with this kernel". Documents of the hub need none.

    Several may have one path, as in Jupyter.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="kernel_sessions")
    kernel = models.ForeignKey(Kernel, on_delete=models.CASCADE, related_name="sessions")
    path = models.CharField(max_length=1000)
    name = models.CharField(max_length=500, blank=True)
    type = models.CharField(max_length=50, default="notebook")
    created_at = models.DateTimeField(auto_now_add=True)


class RunState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    ABORTED = "aborted"  # an earlier cell of the same request failed
    CANCELLED = "cancelled"  # interrupted while it was queued
    INTERRUPTED = "interrupted"
    DIED = "died"  # its kernel ended
    NOT_RUN = "not_run"  # its kernel ended before its turn


class Run(models.Model):
    """One execution of one cell. Made before the command is sent; ended by the output log."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="runs")
    kernel = models.ForeignKey(Kernel, null=True, on_delete=models.SET_NULL, related_name="runs")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="runs"
    )
    request_id = models.CharField(max_length=64, help_text="The client's; makes a repeat harmless.")
    cell_id = models.CharField(max_length=64)
    position = models.PositiveIntegerField(help_text="Order within the request.")
    source_sha256 = models.CharField(max_length=64)
    source = models.TextField(blank=True, help_text="Kept until it is taken, so that it can be sent again.")
    is_taken = models.BooleanField(default=False, help_text="The kernel's node has it, by the output log.")
    stop_on_error = models.BooleanField(
        default=True, help_text="An error aborts what follows in the request."
    )
    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.QUEUED)
    execution_count = models.IntegerField(null=True, blank=True)
    queued_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["document", "request_id", "cell_id"], name="one_run_a_request_and_cell"
            )
        ]


class DailyUsage(models.Model):
    """Usage rolled up a person and day: what a compute budget and the usage page read."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="daily_usage")
    day = models.DateField()
    kernel_seconds = models.FloatField(default=0)
    reserved_gib_hours = models.FloatField(
        default=0,
        help_text="Memory limits of kernels times the time they ran; counted afresh from the kernels.",
    )
    measured_gib_hours = models.FloatField(
        default=0,
        help_text="Of kernels without a limit: memory in use times time, added up as it is measured.",
    )
    run_seconds = models.FloatField(default=0)
    run_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "day"], name="one_usage_a_day")]
