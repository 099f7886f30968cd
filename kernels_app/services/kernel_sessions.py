"""Jupyter's sessions: a client's name for "this file with this kernel".

Several may have one path, as in Jupyter. A session whose kernel has ended, or is on its way out, is not there any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from kernels_app.errors import Invalid, KernelStopping, NotFound
from kernels_app.models import Kernel, KernelSession
from kernels_app.selectors.kernels import STAYING_STATES, last_kernelspec_name
from kernels_app.services.kernels import start_kernel, stop_kernel, switch_kernelspec
from kernels_app.services.project_kernels import MAX_PATH_CHARS, start_project_kernel
from notebooks_app.models import Document, Project
from zasper_hub.accounts.models import User


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

    Raises: as `start_project_kernel`.
    """
    _check_session(path, name, kind)
    there = live_session(project, path)
    if there is not None:
        return there
    document = Document.objects.filter(project=project, path=path).first()
    kernel = _staying(project, document=document) if document is not None else None
    if kernel is not None:  # its own session is listed already
        name, kind = name or PurePosixPath(path).name, "notebook"
    elif kernel_id is not None:
        kernel = _staying(project, pk=kernel_id)
    is_spare = False
    if kernel is None and document is not None and kind == "notebook" and kernel_id is None:
        kernel = _start_document_kernel(user, document, kernelspec_name)
    elif kernel is None:
        is_spare = True  # if another request is first
        if kernel_id is not None and Kernel.objects.filter(pk=kernel_id).exists():
            kernel_id = None  # of a kernel that has ended
        kernel = start_project_kernel(
            user=user,
            project=project,
            kernelspec_name=kernelspec_name,
            kernel_id=kernel_id,
            path=path,
            session_name=name,
            environment=environment,
        )
    session_id = document.pk if document is not None and kernel.document_id == document.pk else None
    made = _add(KernelSession(project=project, kernel=kernel, path=path, name=name, type=kind), session_id)
    if is_spare and made.kernel_id != kernel.pk:
        stop_kernel(kernel, reason="Another request had started a kernel for the same file.")
    return made


def live_session(project: Project, path: str) -> KernelSession | None:
    return (
        KernelSession.objects.filter(project=project, path=path, kernel__state__in=STAYING_STATES)
        .select_related("kernel")
        .order_by("created_at")
        .first()
    )


def keep_document_session(kernel: Kernel, session_id: UUID) -> KernelSession:
    """The row of a document's own session, made now, so that it can be changed. It keeps the id it is listed under."""
    assert kernel.document is not None
    path = kernel.document.path
    with transaction.atomic():
        _lock(kernel.project)
        _forget_ended(kernel.project, Q(pk=session_id))
        values = {"project": kernel.project, "kernel": kernel, "path": path, "name": PurePosixPath(path).name}
        row, _ = KernelSession.objects.select_related("kernel").get_or_create(pk=session_id, defaults=values)
    return row


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

    Raises:
        Invalid: no such kernel.
        NotFound: the session was closed meanwhile.
        Others as `start_project_kernel`.
    """
    before = session.kernel
    session.path = session.path if path is None else path
    session.name = session.name if name is None else name
    session.type = session.type if kind is None else kind
    _check_session(session.path, session.name, session.type)
    is_new = kernel_id is None and kernelspec_name is not None
    if kernel_id is not None and kernel_id != before.pk:
        found = _staying(session.project, pk=kernel_id)
        if found is None:
            raise Invalid("There is no such kernel.")
        session.kernel = found
    elif is_new:
        session.kernel = start_project_kernel(
            user=user,
            project=session.project,
            kernelspec_name=kernelspec_name,
            path=session.path,
            session_name=session.name,
        )
    with transaction.atomic():
        _lock(session.project)
        _forget_ended(session.project, Q(path=session.path) & ~Q(pk=session.pk))
        is_there = KernelSession.objects.filter(pk=session.pk).update(
            path=session.path, name=session.name, type=session.type, kernel=session.kernel
        )
    if not is_there:
        if is_new:
            stop_kernel(session.kernel)
        raise NotFound("The session was closed meanwhile.")
    if session.kernel_id != before.pk and not KernelSession.objects.filter(kernel=before).exists():
        stop_kernel(before)
    return session


def close_session(session: KernelSession) -> None:
    """Ends the session and its kernel."""
    session.delete()
    stop_kernel(session.kernel)


def _start_document_kernel(user: User, document: Document, kernelspec_name: str | None) -> Kernel:
    """The document's kernel; a new one in place of one on its way out."""
    try:
        return start_kernel(user=user, document=document, kernelspec_name=kernelspec_name)
    except KernelStopping:
        wanted = kernelspec_name or last_kernelspec_name(document.pk)
        if wanted is None:
            raise
        return switch_kernelspec(user=user, document=document, kernelspec_name=wanted)


def _add(session: KernelSession, session_id: UUID | None) -> KernelSession:
    """The new session, with this id if it is free; the one of the same path that another request has just made."""
    with transaction.atomic():
        _lock(session.project)
        there = live_session(session.project, session.path)
        if there is not None:
            return there
        _forget_ended(session.project, Q(path=session.path) | Q(pk=session_id))
        if session_id is not None and not KernelSession.objects.filter(pk=session_id).exists():
            session.pk = session_id
        session.save(force_insert=True)
    return session


def _lock(project: Project) -> None:
    """Until the transaction ends, others who make or change sessions of the project wait here."""
    Project.objects.select_for_update(no_key=True).filter(pk=project.pk).first()


def _forget_ended(project: Project, which: Q) -> None:
    KernelSession.objects.filter(which, project=project).exclude(kernel__state__in=STAYING_STATES).delete()


def _staying(project: Project, **which: object) -> Kernel | None:
    return Kernel.objects.filter(project=project, state__in=STAYING_STATES, **which).first()


def _check_session(path: str, name: str, kind: str) -> None:
    if (
        not path
        or len(path) > MAX_PATH_CHARS
        or len(name) > 500
        or len(kind) > 50
        or "\0" in path + name + kind
    ):
        raise Invalid("A session needs a path, and a path, name and type that are not too long.")
