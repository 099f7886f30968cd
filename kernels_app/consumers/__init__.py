"""The sockets of kernels and runs."""

from __future__ import annotations

from typing import Any

from django.urls import path

from kernels_app.consumers.runs import RunsConsumer

websocket_urlpatterns: list[Any] = [path("ws/runs/<uuid:document_id>", RunsConsumer.as_asgi())]
