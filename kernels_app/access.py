"""Kernel ids become rows here, and only here, on behalf of a user."""

from __future__ import annotations

from uuid import UUID

from kernels_app.errors import Forbidden, NotFound
from kernels_app.models import Kernel
from notebooks_app.access import role_in
from notebooks_app.models import Role
from zasper_hub.accounts.models import User
from zasper_hub.accounts.permissions import Need, register_guard

_ROLE_OF_NEED = {Need.VIEWER: Role.VIEWER, Need.EDITOR: Role.EDITOR, Need.OWNER: Role.OWNER}


def kernel_for(user: User, kernel_id: UUID | str, need: Role = Role.VIEWER) -> Kernel:
    """The kernel (with `.project`, `.document`, `.node`), for a user with at least this role in its project.

    Raises:
        NotFound: no such kernel, or the user is no member of its project, or the project is deleted.
        Forbidden: a member, but of too low a role.
    """
    try:
        key = kernel_id if isinstance(kernel_id, UUID) else UUID(str(kernel_id))
    except ValueError as error:
        raise NotFound("There is no such kernel, or it is not yours.") from error
    kernel = (
        Kernel.objects.select_related("project__team", "document", "node")
        .filter(pk=key, project__deleted_at=None)
        .first()
    )
    role = role_in(user, kernel.project_id) if kernel is not None else None
    if kernel is None or role is None:
        raise NotFound("There is no such kernel, or it is not yours.")
    if role.rank < need.rank:
        raise Forbidden(
            f"Your role is {role.value}: to use this kernel you must be {need.value}. Ask an owner.",
            role=role.value,
            needed=need.value,
        )
    return kernel


def guard_kernel(user: User, identifier: object, need: Need) -> None:
    kernel_for(user, str(identifier), _ROLE_OF_NEED[need])


def register_guards() -> None:
    """Called once, when Django has loaded the apps."""
    register_guard("kernel_id", guard_kernel)
