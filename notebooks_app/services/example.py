"""The example project of each new account."""

from __future__ import annotations

from typing import Any

from notebooks_app.example import example_files
from notebooks_app.models import Project
from notebooks_app.services.projects import create_project
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.models import User

EXAMPLE_NAME = "First steps"


def create_example_project(user: User) -> Project:
    """A project of the person with a tour and an analysis to run. Raises DiskFull."""
    project = create_project(user, name=EXAMPLE_NAME).project
    store = content_store(project)
    for name, data in example_files().items():
        store.write(name, [data], if_absent=True)
    return project


def welcome_new_account(user: User, **_: Any) -> None:
    """Receives `account_created`: sent after the commit, and robust (a failure here is logged, not fatal)."""
    create_example_project(user)
