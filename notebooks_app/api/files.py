"""Hub API: the files of a project, and its trash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from ninja import Router, Status

from notebooks_app.access import project_for
from notebooks_app.api.conditions import ANY, tags_in
from notebooks_app.api.file_responses import NoSuchRange, stored_file_response
from notebooks_app.api.file_schemas import (
    DeletedOut,
    FolderOut,
    TransferIn,
    TrashOut,
    WrittenOut,
    entry_json,
    trash_json,
)
from notebooks_app.errors import NotFound, Stale
from notebooks_app.models import Project, Role
from notebooks_app.services import files as services
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.errors import BadRequest
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["files"])

READS = needs(Need.VIEWER, Scope.READ, allows_query_token=True)
CHANGES = needs(Need.EDITOR, Scope.WRITE)
UPLOAD_CHUNK_BYTES = 256 * 1024
ROOT = "/projects/{uuid:project_id}/files"
FILE = "/projects/{uuid:project_id}/files/{path:path}"


@router.get(ROOT, response=FolderOut, operation_id="list_top_folder", auth=READS)
@router.get(f"{ROOT}/", response=FolderOut, include_in_schema=False, auth=READS)
def list_top_folder(request: HttpRequest, project_id: UUID) -> HttpResponseBase:
    return _folder(_project(request, project_id), "")


@router.api_operation(["GET", "HEAD"], FILE, response=FolderOut, operation_id="get_file", auth=READS)
def get_file(request: HttpRequest, project_id: UUID, path: str, stat: bool = False) -> HttpResponseBase:
    """A file's bytes; a folder as JSON; with `stat` the entry alone."""
    project = _project(request, project_id)
    entry = content_store(project).entry(path)
    if stat:
        return JsonResponse(entry_json(entry))
    return _folder(project, path) if entry.type == "folder" else _file(request, project, path)


@router.put(FILE, response={200: WrittenOut, 201: WrittenOut}, operation_id="put_file", auth=CHANGES)
def put_file(
    request: HttpRequest, project_id: UUID, path: str, folder: bool = False
) -> Status[dict[str, Any]]:
    """Writes the body to the file; with `folder` makes a folder."""
    project = _project(request, project_id, Role.EDITOR)
    if folder:
        return Status(201, {"entry": entry_json(services.make_folder(project, path))})
    if_match, if_absent = _conditions(request, project, path)
    written = services.write_file(project, path, _body(request), if_match=if_match, if_absent=if_absent)
    return Status(201 if written.is_new else 200, {"entry": entry_json(written.entry)})


@router.delete(FILE, response=DeletedOut, operation_id="delete_file", auth=CHANGES)
def delete_file(request: HttpRequest, project_id: UUID, path: str) -> dict[str, UUID]:
    """Moves a file or folder to the trash."""
    project = _project(request, project_id, Role.EDITOR)
    return {"trash_id": services.delete_file(project, path, user=caller_of(request).user).pk}


@router.post("/projects/{uuid:project_id}/files-move", response=WrittenOut, auth=CHANGES)
def move_file(request: HttpRequest, project_id: UUID, body: TransferIn) -> dict[str, Any]:
    entry = services.move_file(
        _project(request, project_id, Role.EDITOR),
        body.source,
        body.target,
        user=caller_of(request).user,
        overwrites=body.overwrite,
    )
    return {"entry": entry_json(entry)}


@router.post("/projects/{uuid:project_id}/files-copy", response=WrittenOut, auth=CHANGES)
def copy_file(request: HttpRequest, project_id: UUID, body: TransferIn) -> dict[str, Any]:
    entry = services.copy_file(
        _project(request, project_id, Role.EDITOR),
        body.source,
        body.target,
        user=caller_of(request).user,
        overwrites=body.overwrite,
    )
    return {"entry": entry_json(entry)}


@router.get("/projects/{uuid:project_id}/trash", response=list[TrashOut], auth=needs(Need.VIEWER, Scope.READ))
def list_trash(request: HttpRequest, project_id: UUID) -> list[dict[str, Any]]:
    return [trash_json(trashed) for trashed in services.trash_of(_project(request, project_id))]


@router.delete("/projects/{uuid:project_id}/trash", response={204: None}, auth=CHANGES)
def empty_trash(request: HttpRequest, project_id: UUID) -> Status[None]:
    """Deletes all of it for good."""
    services.empty_trash(_project(request, project_id, Role.EDITOR))
    return Status(204, None)


@router.post("/projects/{uuid:project_id}/trash/{uuid:trash_id}/restore", response=WrittenOut, auth=CHANGES)
def restore_file(request: HttpRequest, project_id: UUID, trash_id: UUID) -> dict[str, Any]:
    entry = services.restore_file(_project(request, project_id, Role.EDITOR), trash_id)
    return {"entry": entry_json(entry)}


@router.delete("/projects/{uuid:project_id}/trash/{uuid:trash_id}", response={204: None}, auth=CHANGES)
def purge_file(request: HttpRequest, project_id: UUID, trash_id: UUID) -> Status[None]:
    """Deletes for good."""
    services.purge_file(_project(request, project_id, Role.EDITOR), trash_id)
    return Status(204, None)


def _project(request: HttpRequest, project_id: UUID, need: Role = Role.VIEWER) -> Project:
    return project_for(caller_of(request).user, project_id, need)


def _folder(project: Project, path: str) -> JsonResponse:
    entries = content_store(project).list_folder(path)
    shown = path.rstrip("/")
    return JsonResponse(
        {"path": shown, "type": "folder", "entries": [entry_json(entry) for entry in entries]}
    )


def _file(request: HttpRequest, project: Project, path: str) -> HttpResponseBase:
    try:
        return stored_file_response(
            request, content_store(project), path, content_type=None, as_attachment=True
        )
    except NoSuchRange as refused:
        error = BadRequest("The file has no such bytes.", size=refused.size_bytes)
        return JsonResponse({"error": error.as_json()}, status=416, headers=refused.headers)


def _conditions(request: HttpRequest, project: Project, path: str) -> tuple[str | None, bool]:
    """`if_match` and `if_absent` of a write."""
    matches = tags_in(request.headers.get("If-Match"))
    absents = tags_in(request.headers.get("If-None-Match"))
    if len(matches) > 1 or (absents and absents != [ANY]):
        raise BadRequest("A write takes one ETag in `If-Match`, or `If-None-Match: *`.")
    if matches == [ANY]:
        try:
            content_store(project).entry(path)
        except NotFound as error:
            raise Stale("There is no such file to write over.", etag=None, kept_as=None) from error
        matches = []
    return (matches[0] if matches else None), bool(absents)


def _body(request: HttpRequest) -> Iterator[bytes]:
    while chunk := request.read(UPLOAD_CHUNK_BYTES):
        yield chunk
