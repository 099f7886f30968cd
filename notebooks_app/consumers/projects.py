"""The hints socket of a project, `/ws/projects/<id>`: docs/reference/hub-api.md."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, ClassVar

import msgspec
import structlog
from channels.db import database_sync_to_async
from django.utils import timezone

from notebooks_app.access import project_for
from notebooks_app.consumers.folder_watch import MAX_FOLDERS, watch_of_this_loop
from notebooks_app.errors import NotFound
from notebooks_app.models import Project
from notebooks_app.services.file_hints import hint_group
from notebooks_app.services.projects import note_opened
from notebooks_app.storage.paths import split_path
from zasper_hub.accounts.errors import Malformed
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.services.page_hints import EVERYBODY, person_group
from zasper_hub.accounts.sockets import HubConsumer

log = structlog.get_logger(__name__)


class WatchFolders(msgspec.Struct, frozen=True, tag_field="type", tag="watch"):
    """The folders this page shows, all of them: '' is the top."""

    folders: list[str]


_decoder = msgspec.json.Decoder(WatchFolders)


class ProjectConsumer(HubConsumer):
    """Tells a page when to fetch something again. The page says which folders it shows."""

    need: ClassVar[Need] = Need.VIEWER
    max_frame_bytes: ClassVar[int] = 256 * 1024
    uses_channel_layer: ClassVar[bool] = True

    project: Project
    _folders: frozenset[str] = frozenset({""})

    async def prepare(self) -> None:
        project_id = self.route_parameters["project_id"]
        self.project = await database_sync_to_async(project_for)(self.user, project_id)

    async def opened(self) -> None:
        try:
            for group in self._groups:
                await self.channel_layer.group_add(group, self.channel_name)
        except Exception as error:  # whatever the layer's backend raises: the watch goes on without it
            log.warning("hints_not_joined", kind=type(error).__name__)
        watch_of_this_loop().watch(self, self.project, self._folders)
        await database_sync_to_async(note_opened)(self.project, timezone.now())

    async def received(self, frame: str | bytes) -> None:
        try:
            wanted = _decoder.decode(frame)
        except msgspec.MsgspecError as error:
            raise Malformed from error
        folders = {
            folder for text in wanted.folders[:MAX_FOLDERS] if (folder := self._plain(text)) is not None
        }
        watch_of_this_loop().watch(self, self.project, folders)

    async def access_rechecked(self) -> None:
        await self.prepare()  # hidden files may be allowed by now, or no more
        watch_of_this_loop().watch(self, self.project, self._folders)

    async def closed(self, close_code: int) -> None:
        watch_of_this_loop().leave(self)
        with suppress(Exception):  # as above; the layer forgets a channel that nobody reads
            for group in self._groups:
                await self.channel_layer.group_discard(group, self.channel_name)

    async def hint(self, message: dict[str, Any]) -> None:
        """Called by the channel layer: `services.file_hints` sent something."""
        if self._is_open:
            await self.send(text_data=json.dumps(message["hint"]))

    async def folder_changed(self, folder: str) -> None:
        """Called by the folder watch."""
        if self._is_open:
            await self.send(text_data=json.dumps({"type": "files", "path": folder}))

    @property
    def _groups(self) -> tuple[str, ...]:
        return (hint_group(self.route_parameters["project_id"]), person_group(self.user.pk), EVERYBODY)

    def _plain(self, text: str) -> str | None:
        try:
            return "/".join(split_path(text, allows_hidden=self.project.allows_hidden_files))
        except NotFound:
            return None
