"""Hub API of projects, files and documents: the routers that `zasper_hub.urls` attaches."""

from ninja import Router

from notebooks_app.api import blobs, documents, files, projects

routers: list[Router] = [projects.router, files.router, blobs.router, documents.router]
