"""What a person's terminals may be, and use: as many in all projects, and each as much as a kernel of theirs."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.conf import settings

from kernels_app.bus.terminals import TerminalId, TerminalInfo, TerminalLimits, terminals_of_person
from kernels_app.errors import QuotaExceeded
from kernels_app.selectors.terminals import live_terminals
from kernels_app.services.reservation import whose
from notebooks_app.models import Project
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.models import User
from zasper_hub.accounts.quotas import DEFINITIONS, EffectiveQuotas, Quota

QUOTA = "terminals"


def limits_of_terminal(quotas: EffectiveQuotas) -> TerminalLimits:
    """What a terminal of the person may use.

    Raises:
        QuotaExceeded: who may have no kernel may have no terminal, which runs the same programs.
    """
    if quotas.count(Quota.MAX_KERNELS) == 0:
        origin = quotas.origin(Quota.MAX_KERNELS)
        raise QuotaExceeded(
            f"{whose(origin).capitalize()} allows no kernels, and so no terminals. Ask an administrator.",
            quota=Quota.MAX_KERNELS.value,
            limit=0,
            used=0,
            unit=DEFINITIONS[Quota.MAX_KERNELS].unit,
            origin=origin.value,
        )
    memory, total = quotas.count(Quota.KERNEL_MEMORY_BYTES), quotas.count(Quota.TOTAL_MEMORY_BYTES)
    return TerminalLimits(
        # One alone is never larger than all may be together.
        memory_bytes=min((limit for limit in (memory, total) if limit is not None), default=None),
        cpu_cores=quotas.number(Quota.KERNEL_CPU_CORES),
        process_count=quotas.count(Quota.KERNEL_PROCESSES),
        idle_timeout_s=settings.HUB_TERMINAL_IDLE_HOURS * 3600,
    )


def check_project(others: list[TerminalInfo]) -> None:
    """Raises QuotaExceeded when the project may have no more."""
    limit: int = settings.HUB_MAX_TERMINALS_PER_PROJECT
    if len(others) >= limit:
        raise QuotaExceeded(
            f"The project has {len(others)} terminals and may have {limit}. Stop one that nobody needs.",
            quota=QUOTA,
            limit=limit,
            used=len(others),
        )


def check_person(user: User) -> None:
    """To be called while no other terminal of the person is being started.

    Raises:
        QuotaExceeded: they may have no more, in whatever project.
        TransportError, Unavailable
    """
    limit: int = settings.HUB_MAX_TERMINALS_PER_USER
    if limit == 0:
        raise QuotaExceeded(
            "This hub allows no terminals. Ask an administrator.", quota=QUOTA, limit=0, used=0
        )
    infos = _live_terminals_of(str(user.pk))
    if len(infos) < limit:
        return
    projects = {
        str(project.pk): project
        for project in Project.objects.filter(pk__in={info.project_id for info in infos}).select_related(
            "team"
        )
    }
    counts = Counter(projects[info.project_id].name for info in infos if info.project_id in projects)
    where = ", ".join(f"“{name}” ({count})" for name, count in counts.most_common(10))
    raise QuotaExceeded(
        f"You have {len(infos)} of {limit} {'terminal' if limit == 1 else 'terminals'}: stop one that you do not need."
        + (f" They run in {where}." if where else ""),
        quota=QUOTA,
        limit=limit,
        used=len(infos),
        terminals=[_shown(info, projects.get(info.project_id)) for info in infos[:100]],
    )


def note_started(info: TerminalInfo) -> None:
    """Counts the terminal for its person from now on. Raises TransportError."""
    blocking_transport().put_field(
        terminals_of_person(info.user_id), info.terminal_id, info.project_id.encode()
    )


def _live_terminals_of(user_id: str) -> list[TerminalInfo]:
    """The person's terminals in all projects. Those that are gone are counted no more.

    Raises:
        TransportError, Unavailable
    """
    transport, key = blocking_transport(), terminals_of_person(user_id)
    noted = {terminal_id: value.decode() for terminal_id, value in transport.get_fields(key).items()}
    live = {
        info.terminal_id: info
        for project_id in set(noted.values())
        for info in live_terminals(UUID(project_id))
    }
    for terminal_id in noted.keys() - live.keys():
        transport.delete_field(key, terminal_id)
    return sorted((live[TerminalId(name)] for name in noted.keys() & live.keys()), key=_started_at)


def _started_at(info: TerminalInfo) -> int:
    return info.started_at


def _shown(info: TerminalInfo, project: Project | None) -> dict[str, Any]:
    """What a person needs to choose which terminal to stop."""
    shown = None
    if project is not None:
        shown = {
            "id": info.project_id,
            "team": project.team.slug,
            "slug": project.slug,
            "name": project.name,
        }
    return {"name": info.name, "project": shown, "started_at": info.started_at}
