"""The ASGI application: HTTP to Django, WebSockets to the consumers of the apps."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zasper_hub.settings.production")
http_application = get_asgi_application()

# Only now: what follows needs Django's apps.
from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.conf import settings  # noqa: E402

from kernels_app.consumers import websocket_urlpatterns as kernel_routes  # noqa: E402
from notebooks_app.api.body_limit import BodyLimit  # noqa: E402
from notebooks_app.consumers import websocket_urlpatterns as notebook_routes  # noqa: E402
from zasper_hub.accounts.metrics import serve_metrics  # noqa: E402
from zasper_hub.accounts.socket_watch import OpenSockets  # noqa: E402
from zasper_hub.accounts.sockets import SocketRoutes  # noqa: E402
from zasper_hub.base_path import BelowBasePath  # noqa: E402
from zasper_hub.daphne_flow import DaphneFlow  # noqa: E402
from zasper_hub.request_threads import RequestThreads  # noqa: E402
from zasper_hub.static_files import StaticFiles  # noqa: E402
from zasper_hub.turns import RequestTurns  # noqa: E402

serve_metrics(settings.METRICS_HOST, settings.METRICS_PORT, OpenSockets())

websocket_urlpatterns = [*notebook_routes, *kernel_routes]
limited = BodyLimit(RequestTurns(RequestThreads(http_application)))

application = DaphneFlow(
    ProtocolTypeRouter(
        {
            "http": StaticFiles(
                BelowBasePath(limited, settings.BASE_PATH) if settings.BASE_PATH else limited
            ),
            "websocket": SocketRoutes(websocket_urlpatterns, settings.BASE_PATH),
        }
    )
)
