"""Kernels as Jupyter clients use them: of a project, with or without a document, by their id or by a session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from kernels_app.errors import Conflict, Invalid
from kernels_app.models import LIVE_STATES, Kernel, KernelSession, KernelState
from kernels_app.runs.placement import Want, check_possible, default_kernelspec
from kernels_app.selectors.nodes import nodes_up
from kernels_app.services.kernels import start_kernel, stop_kernel
from kernels_app.services.queue import place_or_queue
from kernels_app.services.reservation import permitted, reserve
from kernels_app.services.waiting import node_loads, wants_of
from notebooks_app.models import Document, Project
from notebooks_app.services.file_hints import send_kernels_hint
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
    environment: Mapping[str, object] | None = None,
) -> Kernel:
    """A new kernel without a document, in the folder of `path`; the one with this id, if it is there and alive.

    Raises:
        Conflict: the id was used before.
        Invalid, NoNode, UnknownKernelspec, QuotaExceeded, Unavailable
    """
    nodes = nodes_up()
    name = kernelspec_name or default_kernelspec(permitted(nodes, effective_quotas(user, project.team)))
    variables = allowed_environment(environment or {})
    folder = _folder(path)
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
                    memory_limit_bytes=limits.memory_bytes,
                    cpu_limit_cores=limits.cpu_cores,
                    process_limit=limits.process_count,
                    last_activity_at=timezone.now(),
                )
        except IntegrityError as error:
            if kernel_id is None:
                raise
            there = Kernel.objects.filter(pk=kernel_id, project=project, state__in=LIVE_STATES).first()
            if there is None or there.kernelspec_name != name:
                raise Conflict("A kernel with this id existed before. Choose another id.") from error
            return there
        want = wants_of([kernel])[kernel.pk]
        check_possible(loads, want)
        place_or_queue(kernel, want, loads)
        send_kernels_hint(project.pk)
    return kernel


# Sessions


def open_session(
    *,
    user: User,
    project: Project,
    path: str,
    name: str = "",
    kind: str = "notebook",
    kernelspec_name: str | None = None,
    kernel_id: UUID | None = None,
    environment: Mapping[str, object] | None = None,
) -> KernelSession:
    """The session of this path; a new one, with its kernel, when there is none or its kernel has ended.

    A notebook that is a live document of the hub runs on the document's kernel, so that both see the same state.

    Raises:
        NotFound: no such kernel. Others as `start_project_kernel`.
    """
    _check_session(path, name, kind)
    there = live_session(project, path, kind)
    if there is not None:
        return there
    kernel = None if kernel_id is None else Kernel.objects.filter(
        pk=kernel_id, project=project, state__in=LIVE_STATES
    ).first()  # fmt: skip
    if kernel is None:
        document = Document.objects.filter(project=project, path=path).first() if kind == "notebook" else None
        if document is not None and kernel_id is None:
            kernel = start_kernel(user=user, document=document, kernelspec_name=kernelspec_name)
        else:
            kernel = start_project_kernel(
                user=user,
                project=project,
                kernelspec_name=kernelspec_name,
                kernel_id=kernel_id,
                path=path,
                environment=environment,
            )
    with transaction.atomic():
        KernelSession.objects.filter(project=project, path=path, type=kind).exclude(
            kernel__state__in=LIVE_STATES
        ).delete()
        made, is_new = KernelSession.objects.get_or_create(
            project=project, path=path, type=kind, defaults={"kernel": kernel, "name": name}
        )
    if not is_new and made.kernel_id != kernel.pk and kernel.document_id is None:
        stop_kernel(kernel, reason="Another request had started a kernel for the same file.")
    return made


def live_session(project: Project, path: str, kind: str) -> KernelSession | None:
    return (
        KernelSession.objects.filter(project=project, path=path, type=kind, kernel__state__in=LIVE_STATES)
        .exclude(kernel__state=KernelState.STOPPING)
        .select_related("kernel")
        .first()
    )


def change_session(
    session: KernelSession,
    *,
    user: User,
    path: str | None = None,
    name: str | None = None,
    kind: str | None = None,
    kernel_id: UUID | None = None,
    kernelspec_name: str | None = None,
) -> KernelSession:
    """Renames the session, or gives it another kernel (a running one, or a new one of a kernelspec); the old one,
    if no other session has it, ends.

    Raises: as `open_session`.
    """
    _check_session(path or session.path, name or "", kind or session.type)
    before = session.kernel
    if path is not None:
        session.path = path
    if name is not None:
        session.name = name
    if kind is not None:
        session.type = kind
    if kernel_id is not None and kernel_id != before.pk:
        found = Kernel.objects.filter(pk=kernel_id, project=session.project, state__in=LIVE_STATES).first()
        if found is None:
            raise Invalid("There is no such kernel.")
        session.kernel = found
    elif kernel_id is None and kernelspec_name is not None:
        session.kernel = start_project_kernel(
            user=user, project=session.project, kernelspec_name=kernelspec_name, path=session.path
        )
    try:
        with transaction.atomic():
            session.save()
    except IntegrityError as error:
        raise Conflict("Another session has this path.") from error
    if session.kernel_id != before.pk:
        _stop_unless_used(before)
    return session


def close_session(session: KernelSession) -> None:
    """Ends the session, and its kernel if no other session has it."""
    session.delete()
    stop_kernel(session.kernel)


def _stop_unless_used(kernel: Kernel) -> None:
    if not KernelSession.objects.filter(kernel=kernel).exists():
        stop_kernel(kernel)


def _check_session(path: str, name: str, kind: str) -> None:
    if (
        not path
        or len(path) > MAX_PATH_CHARS
        or len(name) > 500
        or len(kind) > 50
        or "\0" in path + name + kind
    ):
        raise Invalid("A session needs a path, and a path, name and type that are not too long.")


def _folder(path: str) -> str:
    """The folder of a file in the project, "" for its top. What leaves the project is refused by the node too."""
    if len(path) > MAX_PATH_CHARS or "\0" in path:
        raise Invalid("The path is not acceptable.")
    folder = PurePosixPath(path.strip("/")).parent
    if ".." in folder.parts:
        raise Invalid("The path is not acceptable.")
    text = str(folder)
    return "" if text == "." else text
