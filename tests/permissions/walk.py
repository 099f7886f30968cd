"""Every address of the hub, as the URL router and the WebSocket routes have them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from ninja.operation import Operation, PathView

from notebooks_app.jupyter.endpoints import Endpoint
from zasper_hub.accounts.permissions import Needs


@dataclass(frozen=True)
class Address:
    """One URL pattern: its route as text from the root, and what answers there."""

    route: str
    callback: Callable[..., Any]

    @property
    def operations(self) -> list[Operation]:
        """The hub API's operations of this address; none when it is another view."""
        if not inspect.isfunction(self.callback):
            return []
        for value in inspect.getclosurevars(self.callback).nonlocals.values():
            if isinstance(value, PathView):
                return list(value.operations)
        return []

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint of a Jupyter-compatible server, when it is one."""
        return self.callback if isinstance(self.callback, Endpoint) else None

    @property
    def declared(self) -> Needs | None:
        found: object = getattr(self.callback, "hub_needs", None)
        return found if isinstance(found, Needs) else None


def every_address(patterns: list[Any] | None = None, prefix: str = "/") -> Iterator[Address]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + _text_of(pattern)
        if isinstance(pattern, URLResolver):
            yield from every_address(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield Address(route, pattern.callback)
        else:
            raise TypeError(f"What is {pattern!r}?")


def _text_of(pattern: URLPattern | URLResolver) -> str:
    text = str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")
    return text.replace("<uuidstr:", "<uuid:")  # django-ninja's own name for it


def parameters_of(route: str) -> list[str]:
    return re.findall(r"<(?:\w+:)?(\w+)>", route)


def filled(route: str, values: dict[str, str]) -> str:
    """The route with its parameters replaced. Raises KeyError for a parameter that has no value here."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: values[match[1]], route)
