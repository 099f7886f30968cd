"""Errors of projects, files and notebooks. Codes and their meaning: `zasper_hub.accounts.errors`."""

from __future__ import annotations

from zasper_hub.accounts.errors import (
    Conflict,
    DiskFull,
    Exists,
    Forbidden,
    HoldsStorage,
    HubError,
    Invalid,
    LastOwner,
    NotFound,
    QuotaExceeded,
    TooLarge,
    Unavailable,
)

__all__ = [
    "Conflict",
    "DiskFull",
    "Exists",
    "FolderTooLarge",
    "Forbidden",
    "HoldsStorage",
    "HubError",
    "Invalid",
    "LastOwner",
    "NotANotebook",
    "NotFound",
    "NotebookTooLarge",
    "NotebookTooOld",
    "QuotaExceeded",
    "Stale",
    "TooLarge",
    "Unavailable",
    "WrongEpoch",
]


class Stale(Conflict):
    """A conditional write lost: `etag` is what the file has now, `kept_as` where the refused version is."""

    code = "stale"


class WrongEpoch(Conflict):
    """The caller's history of the document is not the document's."""

    code = "wrong_epoch"


class NotANotebook(Invalid):
    code = "not_a_notebook"


class NotebookTooOld(Invalid):
    code = "notebook_too_old"


class FolderTooLarge(TooLarge):
    code = "folder_too_large"


class NotebookTooLarge(TooLarge):
    code = "notebook_too_large"
