"""Below a base path every address answers as it does at the root, and none answers at the root."""

from __future__ import annotations

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import LazySettings
from django.core.asgi import get_asgi_application
from django.test import Client

from tests.permissions.table import SOCKETS
from tests.permissions.test_routes import knock, make_world
from tests.permissions.walk import every_address, filled
from zasper_hub.accounts.sockets import SocketRoutes
from zasper_hub.asgi import websocket_urlpatterns
from zasper_hub.base_path import BelowBasePath

BASE_PATH = "/hub"
# Of others, and Django's own pages: they need more than a name.
VALUES = {"format": ".json", "url": "x", "app_label": "accounts", "content_type_id": "1", "object_id": "1"}


@pytest.mark.django_db(transaction=True)
async def test_every_page_is_there_and_nowhere_else(settings: LazySettings) -> None:
    world = await sync_to_async(make_world)()
    paths = []
    for address in every_address():
        try:
            paths.append(filled(address.route, {**VALUES, **world.values}))
        except KeyError:
            continue  # a regular expression's
    paths = [path for path in paths if path.isascii() and not set(path) & set("()[]?<>\\")]
    assert len(paths) > 150
    own = {path: (await sync_to_async(Client().get)(path)).status_code for path in paths}

    settings.BASE_PATH = settings.FORCE_SCRIPT_NAME = BASE_PATH
    application = BelowBasePath(get_asgi_application(), BASE_PATH)
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as browser:
        below = {path: (await browser.get(f"{BASE_PATH}{path}")).status_code for path in paths}
        at_root = {path: (await browser.get(path)).status_code for path in paths}
    assert below == own
    assert {path for path, status in at_root.items() if status != 404} == {"/", "/healthz", "/readyz"}


@pytest.mark.django_db(transaction=True)
async def test_every_socket_is_there_and_nowhere_else() -> None:
    world = await sync_to_async(make_world)()
    application = SocketRoutes(websocket_urlpatterns, BASE_PATH)
    for route in SOCKETS:
        path = filled(route, world.values)
        assert await knock(f"{BASE_PATH}{path}", {}, application) == 4401
        assert await knock(f"{BASE_PATH}s{path}", {}, application) == 4403
        assert await knock(path, {}, application) == 4403
