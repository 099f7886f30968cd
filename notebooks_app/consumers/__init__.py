"""The WebSockets of projects and notebooks."""

from __future__ import annotations

from django.urls import path

from notebooks_app.consumers.documents import DocumentConsumer

websocket_urlpatterns = [
    path("ws/documents/<str:document_id>", DocumentConsumer.as_asgi()),
]
