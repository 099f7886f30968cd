"""What `PUT api/contents/<path>` saves: text, bytes, notebooks, folders, and uploads in parts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal

from django.conf import settings
from django.utils import timezone

from notebooks_app.errors import NotANotebook, NotFound
from notebooks_app.jupyter.contents_models import notebook_of_content, trusted_cells_in
from notebooks_app.jupyter.endpoints import Call
from notebooks_app.notebook_format import Notebook, NotebookError, read_notebook
from notebooks_app.services import files as services
from notebooks_app.services.client_notebooks import document_at, save_client_notebook
from notebooks_app.services.storage_quota import Room
from notebooks_app.storage.content_store import Entry
from notebooks_app.storage.partial_uploads import PartialUpload
from notebooks_app.storage.paths import split_path
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.errors import BadRequest

ContentType = Literal["file", "directory", "notebook"]
BLOCK_CHARS = 1024 * 1024  # divisible by 4: each block of base64 stands for itself
LAST_PART = -1


def content_type_of(value: Any) -> ContentType | None:
    """The `type` of a request; unknown ones are files, as Jupyter Server has it."""
    if value in (None, ""):
        return None
    return value if value in ("file", "directory", "notebook") else "file"


def save_body(call: Call, path: str, body: dict[str, Any]) -> tuple[Entry, bool]:
    """Saves what the body holds at `path`: the entry, and whether it is new."""
    if not path:
        raise BadRequest("A file needs a name")
    split_path(path, allows_hidden=call.project.allows_hidden_files)
    if body.get("chunk") is not None:
        return _save_part(call, path, body)
    current = _entry_or_none(call, path)
    kind = content_type_of(body.get("type"))
    if kind == "directory":
        return _make_folder(call, path, current)
    if current is not None and current.type == "folder":
        raise BadRequest(f"{path} is a directory")
    if current is not None and body.get("content") is None:
        raise BadRequest("No file content provided")
    if kind is None:
        kind = "notebook" if path.endswith(".ipynb") else "file"
    if kind == "notebook":
        return save_client_notebook(
            call.project,
            path,
            _notebook(body.get("content")),
            client=call.client,
            user=call.user,
            trusted=trusted_cells_in(body.get("content")),
        )
    if body.get("content") is None:
        blocks: Iterator[bytes] = iter([b""])
    else:
        blocks = file_blocks(body["content"], body.get("format"))
    return _save_file(call, path, blocks)


def file_blocks(content: Any, file_format: Any) -> Iterator[bytes]:
    """The bytes that a file's content stands for. Raises BadRequest, at once or on the way."""
    if file_format not in ("text", "base64"):
        raise BadRequest("Must specify format of file contents as 'text' or 'base64'")
    if not isinstance(content, str):
        raise BadRequest("The content of a file must be text")
    return _encoded(content) if file_format == "text" else _decoded(content)


def _encoded(content: str) -> Iterator[bytes]:
    for start in range(0, len(content), BLOCK_CHARS):
        try:
            yield content[start : start + BLOCK_CHARS].encode()
        except UnicodeEncodeError as error:
            raise BadRequest("The content is not Unicode text") from error


def _decoded(content: str) -> Iterator[bytes]:
    plain = "".join(content.split())
    for start in range(0, len(plain), BLOCK_CHARS):
        try:
            yield base64.b64decode(plain[start : start + BLOCK_CHARS], validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequest("The content is not base64") from error


def _notebook(content: Any) -> Notebook:
    if content is None:
        return Notebook()
    try:
        return notebook_of_content(content)
    except NotebookError as error:
        raise NotANotebook(str(error)) from error


def _make_folder(call: Call, path: str, current: Entry | None) -> tuple[Entry, bool]:
    if current is None:
        return services.make_folder(call.project, path), True
    if current.type != "folder":
        raise BadRequest(f"Not a directory: {path}")
    return current, True  # Jupyter Server says 201 here too


def _save_file(call: Call, path: str, blocks: Iterator[bytes]) -> tuple[Entry, bool]:
    if path.endswith(".ipynb") and document_at(call.project, path) is not None:
        # The text of a notebook that people have open: edits, as any other save of it.
        data = b"".join(blocks)
        try:
            notebook = read_notebook(data)
        except NotebookError as error:
            raise NotANotebook(str(error)) from error
        return save_client_notebook(call.project, path, notebook, client=call.client, user=call.user)
    written = services.write_file(call.project, path, blocks)
    return written.entry, written.is_new


def _save_part(call: Call, path: str, body: dict[str, Any]) -> tuple[Entry, bool]:
    """A part of a large file: numbered from 1, the last one -1. The file is there, whole, after the last one."""
    number = body["chunk"]
    if "type" not in body:
        raise BadRequest("No file type provided")
    if body["type"] != "file":
        raise BadRequest(f'File type "{body["type"]}" is not supported for large file transfer')
    if body.get("content") is None:
        raise BadRequest("No file content provided")
    if (
        not isinstance(number, int)
        or isinstance(number, bool)
        or not (number == LAST_PART or 1 <= number < 1_000_000)
    ):
        raise BadRequest("Parts are numbered from 1; the last one is -1")
    blocks = file_blocks(body["content"], body.get("format"))
    current = _entry_or_none(call, path)
    if current is not None and current.type == "folder":
        raise BadRequest(f"{path} is a directory")
    upload = PartialUpload(str(call.project.pk), call.user.pk, path, max_bytes=settings.MAX_FILE_BYTES)
    if number != LAST_PART:
        room = Room(call.project)
        replaced_bytes = 0 if current is None else current.size_bytes
        # What waits for its last part is in nobody's project yet, and takes the room of one all the same.
        waiting_bytes = upload.size_before(number) + upload.size_of_others()
        size_bytes = upload.add(number, room.counted(blocks, replaced_bytes=replaced_bytes - waiting_bytes))
        name = path.rpartition("/")[2]
        shown = Entry(path, name, "file", size_bytes, timezone.now(), None)
        return shown, number == 1 and current is None
    if upload.next_number == 1:
        # Also when this is a repeat: the file is whole already and must not become its last part.
        raise BadRequest("The parts before the last one are missing. Begin with part 1.")
    entry, _ = _save_file(call, path, chain(upload.chunks(), blocks))
    upload.discard()
    return entry, False


def _entry_or_none(call: Call, path: str) -> Entry | None:
    try:
        return content_store(call.project).entry(path)
    except NotFound:
        return None
