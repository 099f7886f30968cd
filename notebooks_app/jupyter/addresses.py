"""Where the Jupyter-compatible servers are: one for each project, below `/jupyter/<team>/<project>/`."""

from __future__ import annotations

from typing import Final

from django.urls import register_converter


class ProjectAddress:
    """`team/project`, both slugs, as one URL parameter: what a role is checked in is named by both."""

    regex = r"[-a-zA-Z0-9_]+/[-a-zA-Z0-9_]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ProjectAddress, "hub_project")

# Prefix of all routes, HTTP and WebSocket; import it rather than write it, so that the converter is known.
PROJECT: Final = "jupyter/<hub_project:jupyter_project>/"
