"""Kernels that go on writing when their project is full: nodes measure, here it is decided which of them end.

A kernel may run in a full project: somebody has to be able to look, and to delete. It ends when it makes the project
larger all the same.
"""

from __future__ import annotations

from uuid import UUID

import structlog

from kernels_app.bus.envelopes import ProjectsMeasured
from kernels_app.errors import HubError
from kernels_app.models import LIVE_STATES, Kernel, KernelState
from kernels_app.selectors.terminals import live_terminals
from kernels_app.services.commands import send_stop
from kernels_app.services.terminals import stop_terminal
from notebooks_app.models import Project
from notebooks_app.services.storage_quota import Room, note_files

log = structlog.get_logger(__name__)

# The hub itself writes into full projects: notebooks with their outputs are saved all the same.
SLACK_BYTES = 16 << 20


def record_project_figures(event: ProjectsMeasured) -> None:
    """Keeps the figures, and ends what made a project larger than it may be."""
    for project_id, figures in event.projects.items():
        try:
            project = Project.objects.select_related("team").filter(pk=UUID(project_id)).first()
        except ValueError:
            continue
        if project is None:
            continue
        note_files(project, max(figures.files_bytes, 0))
        if figures.grown_bytes < SLACK_BYTES:
            continue
        try:
            excess = Room(project).excess()
            if excess is not None:
                end_writers(project, excess.message)
        except HubError as error:
            log.warning("storage_not_enforced", project_id=project_id, code=error.code)


def end_writers(project: Project, reason: str) -> None:
    """Ends the project's busy kernels; without any, all its kernels and terminals: one of them writes.

    Raises:
        Unavailable
    """
    kernels = Kernel.objects.filter(project=project, state__in=LIVE_STATES).exclude(
        state__in=(KernelState.PENDING, KernelState.STOPPING)
    )
    busy = list(kernels.exclude(state=KernelState.IDLE))
    ending = busy or list(kernels)
    for kernel in ending:
        send_stop(kernel, state="killed", reason=reason)
    terminals = [] if busy else live_terminals(project.pk)
    for terminal in terminals:
        stop_terminal(terminal, reason=reason)
    log.warning(
        "project_over_its_storage",
        project_id=str(project.pk),
        kernels=[str(kernel.pk) for kernel in ending],
        terminals=len(terminals),
    )
