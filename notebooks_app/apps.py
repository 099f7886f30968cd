"""Notebooks: projects, files, live documents, outputs."""

from django.apps import AppConfig


class NotebooksConfig(AppConfig):
    name = "notebooks_app"
    verbose_name = "Projects and notebooks"
