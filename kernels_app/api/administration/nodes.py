"""Admin API: nodes."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpRequest
from ninja import Query, Router, Status

from kernels_app.api.administration.overview import live_nodes
from kernels_app.api.administration.schemas import AdminNodeOut, DrainIn, Row
from kernels_app.api.administration.shapes import shaped_nodes
from kernels_app.errors import NotFound
from kernels_app.models import Node
from kernels_app.selectors import administration as select
from kernels_app.services.node_administration import drain_node, remove_node
from zasper_hub.accounts.names import is_plain_text
from zasper_hub.accounts.paging import PageIn, PageOut, Part, part_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["administration"])

_HUB = needs(Need.STAFF, Scope.ADMIN)
_PATH = "/admin/nodes/{str:node_id}"
SORTS = {"id": "node_id", "state": "state", "kernel_count": "kernel_count", "last_seen_at": "last_seen_at"}


@router.get("/admin/nodes", response=PageOut[AdminNodeOut], auth=_HUB)
def list_nodes(request: HttpRequest, page: Query[PageIn]) -> Part:
    nodes = select.nodes_with_counts()
    if page.search:
        nodes = nodes.filter(Q(node_id__icontains=page.search) | Q(state=page.search))
    return part_of(nodes, page, sorts=SORTS, default="id", shape=_shaped)


@router.get(_PATH, response=AdminNodeOut, auth=_HUB)
def get_node(request: HttpRequest, node_id: str) -> Row:
    return _shaped([_node(node_id)])[0]


@router.post(f"{_PATH}/drain", response=AdminNodeOut, auth=_HUB)
def drain(request: HttpRequest, node_id: str, body: DrainIn | None = None) -> Row:
    until = None if body is None else body.until
    node = drain_node(_node(node_id), is_draining=True, until=until, actor=caller_of(request).user)
    return _shaped([node])[0]


@router.post(f"{_PATH}/undrain", response=AdminNodeOut, auth=_HUB)
def undrain(request: HttpRequest, node_id: str) -> Row:
    node = drain_node(_node(node_id), is_draining=False, actor=caller_of(request).user)
    return _shaped([node])[0]


@router.delete(_PATH, response={204: None}, auth=_HUB)
def remove(request: HttpRequest, node_id: str) -> Status[None]:
    remove_node(_node(node_id), actor=caller_of(request).user)
    return Status(204, None)


def _shaped(nodes: list[Node]) -> list[Row]:
    live, _answers = live_nodes()
    return shaped_nodes(nodes, live, select.node_figures())


def _node(node_id: str) -> Node:
    node = Node.objects.filter(pk=node_id).first() if is_plain_text(node_id) else None
    if node is None:
        raise NotFound("There is no such node.", node=node_id[:64])
    return node
