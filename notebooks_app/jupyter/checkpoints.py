"""`api/contents/<path>/checkpoints`: the one copy of a file to go back to, called `checkpoint` as in Jupyter Server."""

from __future__ import annotations

from typing import Any, Final

from django.http.response import HttpResponseBase

from notebooks_app.errors import NotFound
from notebooks_app.jupyter.contents_models import moment
from notebooks_app.jupyter.endpoints import Call, Endpoint, answer, no_content
from notebooks_app.models import Checkpoint
from notebooks_app.services import checkpoints as services
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

CHECKPOINT_ID: Final = "checkpoint"

checkpoints = Endpoint()
checkpoint = Endpoint()


@checkpoints.on("GET", Need.VIEWER, Scope.READ)
def list_checkpoints(call: Call, path: str) -> HttpResponseBase:
    found = services.checkpoint_of(call.project, path.strip("/"))
    return answer([] if found is None or not _is_there(call, found) else [_model(found)])


@checkpoints.on("POST", Need.EDITOR, Scope.WRITE)
def create_checkpoint(call: Call, path: str) -> HttpResponseBase:
    made = services.create_checkpoint(call.project, path.strip("/"))
    location = f"{call.base_path}api/contents/{made.path}/checkpoints/{CHECKPOINT_ID}"
    return answer(_model(made), status=201, location=location)


@checkpoint.on("POST", Need.EDITOR, Scope.WRITE)
def restore_checkpoint(call: Call, path: str, checkpoint_id: str) -> HttpResponseBase:
    services.restore_checkpoint(_checkpoint(call, path, checkpoint_id), user=call.user)
    return no_content()


@checkpoint.on("DELETE", Need.EDITOR, Scope.WRITE)
def delete_checkpoint(call: Call, path: str, checkpoint_id: str) -> HttpResponseBase:
    services.delete_checkpoint(_checkpoint(call, path, checkpoint_id))
    return no_content()


def _checkpoint(call: Call, path: str, checkpoint_id: str) -> Checkpoint:
    shown = path.strip("/")
    found = services.checkpoint_of(call.project, shown) if checkpoint_id == CHECKPOINT_ID else None
    if found is None:
        raise NotFound(f"Checkpoint does not exist: {shown}@{checkpoint_id}")
    return found


def _is_there(call: Call, found: Checkpoint) -> bool:
    try:
        content_store(call.project).entry(found.path)
    except NotFound:
        return False
    return True


def _model(made: Checkpoint) -> dict[str, Any]:
    return {"id": CHECKPOINT_ID, "last_modified": moment(made.created_at)}
