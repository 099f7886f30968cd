"""Kernels as Jupyter clients use them: of a project, without a document, by their id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from kernels_app.errors import Conflict, Invalid
from kernels_app.models import Kernel
from kernels_app.runs.placement import Want, check_possible, default_kernelspec
from kernels_app.selectors.kernels import STAYING_STATES
from kernels_app.selectors.nodes import nodes_up
from kernels_app.services.queue import place_or_queue
from kernels_app.services.reservation import permitted, reserve
from kernels_app.services.waiting import node_loads, wants_of
from notebooks_app.models import Project
from notebooks_app.services.file_hints import send_kernels_hint
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.models import User
from zasper_hub.accounts.selectors.quotas import effective_quotas

# Of the `env` of a request. The node refuses what would change which program is run, whatever the hub lets through.
_ALLOWED_NAME = re.compile(r"(KERNEL_[A-Z0-9_]{1,90}|JPY_SESSION_NAME)\Z")
MAX_VARIABLES = 50
MAX_VARIABLE_CHARS = 10_000
MAX_PATH_CHARS = 1000


def allowed_environment(requested: Mapping[str, object]) -> dict[str, str]:
    """Of the variables that a client asks for, those that a kernel may get; the others are left out, as Jupyter does.

    Raises:
        Invalid: too many, or too long.
    """
    allowed = {
        name: str(value)
        for name, value in requested.items()
        if _ALLOWED_NAME.match(name) and isinstance(value, str | int | float) and "\0" not in str(value)
    }
    if len(allowed) > MAX_VARIABLES or any(len(value) > MAX_VARIABLE_CHARS for value in allowed.values()):
        raise Invalid("Too many or too long environment variables for a kernel.")
    return allowed


def start_project_kernel(
    *,
    user: User,
    project: Project,
    kernelspec_name: str | None = None,
    kernel_id: UUID | None = None,
    path: str = "",
    session_name: str | None = None,
    environment: Mapping[str, object] | None = None,
) -> Kernel:
    """A new kernel without a document, in the folder `path` or the nearest above it.

    The kernel with this id, if it is there and alive. `session_name`: of the session that it is started for, if any.

    Raises:
        Conflict: the id was used before.
        Invalid, NoNode, UnknownKernelspec, QuotaExceeded, Unavailable
    """
    nodes = nodes_up()
    name = kernelspec_name or default_kernelspec(permitted(nodes, effective_quotas(user, project.team)))
    variables = allowed_environment(environment or {})
    folder = nearest_folder(project, path)
    loads = node_loads(nodes)
    check_possible(loads, Want(name))
    with transaction.atomic():
        limits = reserve(user=user, project=project, kernelspec_name=name)
        identity = {} if kernel_id is None else {"id": kernel_id}
        try:
            with transaction.atomic():
                kernel = Kernel.objects.create(
                    **identity,
                    project=project,
                    user=user,
                    kernelspec_name=name,
                    folder=folder,
                    environment=variables,
                    session_file=_session_file(folder, path, session_name),
                    memory_limit_bytes=limits.memory_bytes,
                    cpu_limit_cores=limits.cpu_cores,
                    process_limit=limits.process_count,
                    last_activity_at=timezone.now(),
                )
        except IntegrityError as error:
            if kernel_id is None:
                raise
            there = Kernel.objects.filter(pk=kernel_id, project=project, state__in=STAYING_STATES).first()
            if there is None or there.kernelspec_name != name:
                raise Conflict("A kernel with this id existed before. Choose another id.") from error
            return there
        want = wants_of([kernel])[kernel.pk]
        check_possible(loads, want)
        place_or_queue(kernel, want, loads)
        send_kernels_hint(project.pk)
    return kernel


def _session_file(folder: str, path: str, session_name: str | None) -> str:
    """As Jupyter has it: of this name in the kernel's folder; without a name the session's path."""
    if session_name is None:
        return ""
    return str(PurePosixPath(folder, session_name)) if session_name else path


def nearest_folder(project: Project, path: str) -> str:
    """The folder in which a kernel for this path starts: the path itself or the nearest above it that is there.

    "" for the project's own. Raises Invalid, Unavailable.
    """
    parts = PurePosixPath(path.strip("/")).parts
    if len(path) > MAX_PATH_CHARS or "\0" in path or ".." in parts:
        raise Invalid("The path is not acceptable.")
    store = content_store(project)
    found = ""
    for part in parts:  # downwards: what is in no folder is none
        if not store.is_folder(f"{found}/{part}".lstrip("/")):
            break
        found = f"{found}/{part}".lstrip("/")
    return found
