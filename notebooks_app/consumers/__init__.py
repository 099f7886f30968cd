"""The WebSockets of projects and notebooks."""

from __future__ import annotations

from django.urls import path

from notebooks_app.consumers.documents import DocumentConsumer
from notebooks_app.consumers.projects import ProjectConsumer

websocket_urlpatterns = [
    path("ws/documents/<uuid:document_id>", DocumentConsumer.as_asgi()),
    path("ws/projects/<uuid:project_id>", ProjectConsumer.as_asgi()),
]
