"""Guards of the route parameters `project_id`, `document_id` and `jupyter_project`.

See `zasper_hub.accounts.permissions`.
"""

from __future__ import annotations

from notebooks_app.access import document_for, project_at, project_for
from notebooks_app.models import Role
from zasper_hub.accounts.models import User
from zasper_hub.accounts.permissions import Need, register_guard

_ROLE_OF_NEED = {Need.VIEWER: Role.VIEWER, Need.EDITOR: Role.EDITOR, Need.OWNER: Role.OWNER}


def guard_project(user: User, identifier: object, need: Need) -> None:
    project_for(user, str(identifier), _ROLE_OF_NEED[need])


def guard_document(user: User, identifier: object, need: Need) -> None:
    document_for(user, str(identifier), _ROLE_OF_NEED[need])


def guard_jupyter_project(user: User, identifier: object, need: Need) -> None:
    project_at(user, str(identifier), _ROLE_OF_NEED[need])


def register_guards() -> None:
    """Called once, when Django has loaded the apps."""
    register_guard("project_id", guard_project)
    register_guard("document_id", guard_document)
    register_guard("jupyter_project", guard_jupyter_project)
