"""`/healthz` and `/readyz`: is this process alive; can the hub serve people."""

from __future__ import annotations

import logging

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from kernels_app.bus.identifiers import NODES_KEY, NodeId, node_lease
from kernels_app.bus.transport import TransportError
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.permissions import Need, view_needs

logger = logging.getLogger(__name__)


@require_safe
@view_needs(Need.ANYONE)
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while this web process answers at all."""
    return JsonResponse({"status": "ok"})


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except DatabaseError:
        logger.warning("readiness: the database does not answer", exc_info=True)
        return False


def _nodes_up() -> int | None:
    """How many nodes hold their lease; None when Redis does not answer."""
    transport = blocking_transport()
    try:
        registered = transport.get_fields(NODES_KEY)
        return sum(transport.read_lease(node_lease(NodeId(name))) is not None for name in registered)
    except TransportError:
        logger.warning("readiness: redis does not answer")
        return None


@require_safe
@view_needs(Need.ANYONE)
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when database, Redis and at least one node answer; else 503 naming what is missing."""
    node_count = _nodes_up()
    parts = {
        "database": _database_answers(),
        "redis": node_count is not None,
        "node": bool(node_count),
    }
    is_ready = all(parts.values())
    return JsonResponse({"ready": is_ready, **parts}, status=200 if is_ready else 503)
