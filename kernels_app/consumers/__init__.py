"""The sockets of kernels and runs."""

from __future__ import annotations

from typing import Any

from django.urls import path

from kernels_app.consumers.channels import ChannelsByQueryConsumer, ChannelsConsumer
from kernels_app.consumers.runs import RunsConsumer
from kernels_app.consumers.terminals import TerminalConsumer
from notebooks_app.jupyter.addresses import PROJECT

websocket_urlpatterns: list[Any] = [
    path("ws/runs/<uuid:document_id>", RunsConsumer.as_asgi()),
    path(f"{PROJECT}api/kernels/<str:kernel_id>/channels", ChannelsConsumer.as_asgi()),
    path(PROJECT, ChannelsByQueryConsumer.as_asgi()),
    path(PROJECT.removesuffix("/"), ChannelsByQueryConsumer.as_asgi()),
    path(f"{PROJECT}terminals/websocket/<str:terminal_name>", TerminalConsumer.as_asgi()),
]
